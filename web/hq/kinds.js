// SPDX-License-Identifier: Apache-2.0
// What can be ordered: every kind with its arguments and their ranges, and what it does in words.
// (docs/spec/commands.md; the ranges are those of meshmeter/command_body.h.)

import { formatShortKwh, parseInteger, parseKwh } from './amounts.js';
import { formatCount, formatDuration, visible } from './format.js';

const U32_MAX = 4_294_967_295;
const BODY_BYTES_MAX = 200;
const BROKER_URL_BYTES_MAX = 100;
const SECONDS_MAX = 3600;
const SLOTS_MAX = 43200;
const THRESHOLD_WH_MAX = 1_000_000_000;
/** Below 2^53, so that JSON carries it exactly; no meter comes near. */
const REGISTER_MAX = 1_000_000_000_000_000;
const bytesOf = (text) => new TextEncoder().encode(text).length;
export const DAY_NAMES = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const STAGED = 'If that works it is kept, else the one before is used again.';
const upperFirst = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Text of one line within bounds of its bytes. */
function line(text, min, max) {
    const count = bytesOf(text);
    if (/[\u0000-\u001f\u007f]/.test(text)) {
        throw new RangeError('Control characters cannot be used.');
    }
    if (count < min || count > max) {
        throw new RangeError(min === 0 ? `At most ${max} characters.` : `${min} to ${max} characters.`);
    }
    return text;
}

function url(text, schemes, bytes_max) {
    const typed = line(text.trim(), 1, bytes_max);
    if (typed.includes(' ')) {
        throw new RangeError('An address has no blanks.');
    }
    if (!schemes.some((scheme) => typed.startsWith(`${scheme}://`) && typed.length > scheme.length + 3)) {
        throw new RangeError(`Begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}.`);
    }
    return typed;
}

function password(text) {
    if (text !== '' && bytesOf(text) < 8) {
        throw new RangeError('8 to 63 characters, or empty for an open network.');
    }
    return line(text, 0, 63);
}

const integer = (name, label, min, max, rest = {}) => ({
    name,
    label,
    type: 'integer',
    hint: `${formatCount(min)} to ${formatCount(max)}`,
    read: (text) => parseInteger(text, min, max),
    ...rest,
});
const kwh = (name, label, max_wh, rest = {}) => ({
    name,
    label,
    type: 'decimal',
    unit: 'kWh',
    hint: `0 to ${formatShortKwh(max_wh)} kWh`,
    read: (text) => parseKwh(text, 0, max_wh),
    ...rest,
});
const seconds = (initial) => integer('seconds', 'For', 1, SECONDS_MAX, { unit: 's', initial });
const optional = { isOptional: true };

function dayNames(mask) {
    return DAY_NAMES.filter((name, day) => mask & (1 << day)).join(', ');
}

function hourSpans(mask) {
    const spans = [];
    for (let hour = 0; hour < 24; hour += 1) {
        const last = spans.at(-1);
        if (!((mask >>> hour) & 1)) {
            continue;
        }
        if (last?.[1] === hour) {
            last[1] = hour + 1;
        } else {
            spans.push([hour, hour + 1]);
        }
    }
    return spans.map(([from, to]) => `${from}–${to} h`).join(', ');
}

function limitsSentence(what, { warning_wh, emergency_wh, quiet_hours, quiet_days }) {
    const quiet = [hourSpans(quiet_hours), dayNames(quiet_days)].filter(Boolean).join(' and on ');
    return [
        `Sets how ${what} behaves when its credit runs out:`,
        warning_wh > 0 ? `warns at ${formatShortKwh(warning_wh)} kWh,` : 'does not warn,',
        emergency_wh > 0
            ? `lets the customer take ${formatShortKwh(emergency_wh)} kWh of emergency credit once,`
            : 'gives no emergency credit,',
        quiet ? `and does not cut supply ${quiet} (local time).` : 'and cuts supply at any time.',
    ].join(' ');
}

function updateSentence(what, { id, pulse_constant, start_wh, life_pulses }) {
    const parts = [
        id !== undefined && `is called ${visible(id)}`,
        pulse_constant !== undefined && `counts ${pulse_constant} pulses as one kWh`,
        start_wh !== undefined && `had ${formatShortKwh(start_wh)} kWh when counting began`,
        life_pulses !== undefined && `stands at ${life_pulses} pulses`,
    ].filter(Boolean);
    return `From now on ${what} ${parts.join(', ') || 'stays as it is'}. What it was is archived in the answer.`;
}

/**
 * title: in the list. scope: one for each meter or node of the target. targets: which it may have. fields: its
 * arguments; check(arguments): what they must fulfil together, as [field, text]. sentence(what, arguments): what will
 * happen. isDangerous: asks again, with the target's name.
 */
export const KINDS = {
    lock: {
        title: 'Lock: supply off',
        scope: 'meter',
        sentence: (what) =>
            `Cuts the supply of ${what}, and keeps it off until it is unlocked, whatever credit there is.`,
    },
    unlock: {
        title: 'Unlock: supply on',
        scope: 'meter',
        sentence: (what) =>
            `Takes the lock from ${what}. Supply comes back unless something else holds it, such as missing credit.`,
    },
    limits: {
        title: 'Credit limits',
        scope: 'meter',
        fields: [
            kwh('warning_wh', 'Warn at', THRESHOLD_WH_MAX, { initial: '2' }),
            kwh('emergency_wh', 'Emergency credit', THRESHOLD_WH_MAX, { initial: '0' }),
            { name: 'quiet_hours', label: 'Hours in which supply is not cut', type: 'hours', initial: 0 },
            { name: 'quiet_days', label: 'Days on which supply is not cut', type: 'days', initial: 0 },
        ],
        sentence: limitsSentence,
    },
    mode: {
        title: 'Prepaid or postpaid',
        scope: 'meter',
        isDangerous: true,
        fields: [
            {
                name: 'prepaid',
                label: 'Mode',
                type: 'choice',
                initial: '1',
                choices: [
                    ['1', 'prepaid: supply needs credit'],
                    ['0', 'postpaid: supply without credit'],
                ],
                read: Number,
            },
        ],
        sentence: (what, { prepaid }) =>
            prepaid
                ? `Makes ${what} prepaid with a balance of zero: supply is cut until credit is sold.`
                : `Makes ${what} postpaid: supply needs no credit any more, and what credit is left ends.`,
    },
    read_meter: {
        title: 'Read registers',
        scope: 'meter',
        sentence: (what) => `Asks ${what} for its registers and credit. Changes nothing.`,
    },
    update: {
        title: 'Update the meter',
        scope: 'meter',
        targets: ['meter'],
        isDangerous: true,
        fields: [
            {
                name: 'id',
                label: 'New id',
                type: 'text',
                hint: 'at most 12 characters',
                read: (text) => line(text, 1, 12),
                ...optional,
            },
            integer('pulse_constant', 'Pulse constant', 100, 10000, { unit: 'imp/kWh', ...optional }),
            kwh('start_wh', 'Start reading', REGISTER_MAX, optional),
            integer('life_pulses', 'Life register', 0, REGISTER_MAX, { unit: 'pulses', ...optional }),
        ],
        check: (values) => (Object.keys(values).length === 0 ? ['id', 'Fill in at least one of the fields.'] : null),
        sentence: updateSentence,
    },
    erase: {
        title: 'Erase the registers',
        scope: 'meter',
        isDangerous: true,
        sentence: (what) =>
            `Sets month, hours and life register of ${what} to zero. What they were is archived in the answer.`,
    },
    find: {
        title: 'Find: blink',
        scope: 'node',
        fields: [seconds('60')],
        sentence: (what, values) =>
            `Makes ${what} blink for ${formatDuration(values.seconds)}, so that it can be found.`,
    },
    display_on: {
        title: 'Display on',
        scope: 'node',
        fields: [seconds('300')],
        sentence: (what, values) => `Lights the display of ${what} for ${formatDuration(values.seconds)}.`,
    },
    send_now: {
        title: 'Send now',
        scope: 'node',
        sentence: (what) => `Makes ${what} report as soon as possible instead of waiting for its slot.`,
    },
    read_log: {
        title: 'Read log',
        scope: 'node',
        sentence: (what) => `Asks ${what} for the last lines of its log. Changes nothing.`,
    },
    reboot: {
        title: 'Reboot',
        scope: 'node',
        isDangerous: true,
        sentence: (what) =>
            `Restarts ${what}. Registers and credit are kept; pulses during the restart may be missed.`,
    },
    slot_plan: {
        title: 'Slot plan',
        scope: 'node',
        fields: [
            integer('slot', 'Slot', 0, SLOTS_MAX - 1, { initial: '0' }),
            integer('slot_count', 'of slots', 1, SLOTS_MAX, { initial: '250' }),
        ],
        check: ({ slot, slot_count }) =>
            slot >= slot_count ? ['slot', `Counts from 0: at most ${slot_count - 1} of ${slot_count} slots.`] : null,
        sentence: (what, values) =>
            `Gives ${what} slot ${values.slot} of ${values.slot_count}: the 2 seconds of each ${formatDuration(
                2 * values.slot_count,
            )} in which it connects.`,
    },
    network: {
        title: 'Network credentials',
        scope: 'node',
        isDangerous: true,
        fields: [
            {
                name: 'ssid',
                label: 'Network (SSID)',
                type: 'text',
                hint: '1 to 32 characters',
                read: (text) => line(text, 1, 32),
            },
            {
                name: 'password',
                label: 'Password',
                type: 'secret',
                hint: '8 to 63 characters; empty for an open network',
                read: password,
            },
        ],
        sentence: (what, { ssid }) =>
            `Makes ${what} try the network ${visible(ssid)} for 30 minutes. ${STAGED}`,
    },
    broker: {
        title: 'Broker credentials',
        scope: 'node',
        isDangerous: true,
        fields: [
            {
                name: 'url',
                label: 'Address of the broker',
                type: 'text',
                hint: 'mqtts://host:8883',
                read: (text) => url(text, ['mqtts', 'mqtt'], BROKER_URL_BYTES_MAX),
            },
            { name: 'user', label: 'User', type: 'text', hint: 'may be empty', read: (text) => line(text, 0, 64) },
            {
                name: 'password',
                label: 'Password',
                type: 'secret',
                hint: 'may be empty',
                read: (text) => line(text, 0, 64),
            },
        ],
        check: (values) =>
            bytesOf(`${values.url}\n${values.user}\n${values.password}`) > BODY_BYTES_MAX
                ? ['url', `Address, user and password have more than ${BODY_BYTES_MAX - 2} characters together.`]
                : null,
        sentence: (what, values) =>
            `Makes ${what} try the broker ${visible(values.url)} for 30 minutes. ${STAGED}`,
    },
    ota_url: {
        title: 'Firmware address',
        scope: 'node',
        fields: [
            {
                name: 'url',
                label: 'Address of the firmware',
                type: 'text',
                hint: 'https://…, at most 200 characters',
                read: (text) => url(text, ['https', 'http'], BODY_BYTES_MAX),
            },
        ],
        sentence: (what, values) =>
            `Tells ${what} to take firmware from ${visible(values.url)} when an update is started. Starts none.`,
    },
    ota_start: {
        title: 'Start firmware update',
        scope: 'node',
        isDangerous: true,
        sentence: (what) => `Makes ${what} load the firmware from its set address, and restart with it.`,
    },
    reinstall: {
        title: 'Installation again',
        scope: 'node',
        isDangerous: true,
        sentence: (what) =>
            `Makes ${what} send its installation once more. Supply stays off until that is confirmed.`,
    },
    format: {
        title: 'Format the node',
        scope: 'node',
        targets: ['node', 'gateway'],
        isDangerous: true,
        fields: [
            integer('code', 'Code', 0, U32_MAX, {
                hint: 'Leave it empty the first time: the answer tells the code, which is good for one hour.',
                whenEmpty: 0,
            }),
        ],
        sentence: (what, { code }) =>
            code === 0
                ? `First of two steps: asks ${what} for the code that formatting needs. Erases nothing yet.`
                : `Second step: erases ${what}, after what it has is archived. It must be installed again.`,
    },
};

/** The kinds that a type of target may have. */
export function kindsFor(targetType) {
    return Object.keys(KINDS).filter((name) =>
        KINDS[name].targets
            ? KINDS[name].targets.includes(targetType)
            : targetType !== 'meter' || KINDS[name].scope === 'meter',
    );
}

export function initialValues(kind) {
    return Object.fromEntries((KINDS[kind].fields ?? []).map((field) => [field.name, field.initial ?? '']));
}

/** What was typed as arguments of the API: {values, errors by field}. */
export function readArguments(kind, typed) {
    const values = {};
    const errors = {};
    for (const field of KINDS[kind].fields ?? []) {
        const text = typed[field.name] ?? field.initial ?? '';
        const isEmpty = typeof text === 'string' && text.trim() === '';
        if (isEmpty && field.isOptional) {
            continue;
        }
        if (isEmpty && field.whenEmpty !== undefined) {
            values[field.name] = field.whenEmpty;
            continue;
        }
        try {
            values[field.name] = field.read ? field.read(text) : text;
        } catch (error) {
            errors[field.name] = error.message;
        }
    }
    const wrong = Object.keys(errors).length === 0 && KINDS[kind].check?.(values);
    if (wrong) {
        errors[wrong[0]] = wrong[1];
    }
    return { values, errors };
}

/** An order's arguments in one line, for lists. */
export function argumentsText(order) {
    const values = order.arguments && typeof order.arguments === 'object' ? order.arguments : {};
    return Object.entries(values)
        .map(([name, value]) => `${visible(name)}=${visible(value)}`)
        .join(' ');
}

export function kindTitle(kind) {
    return Object.hasOwn(KINDS, kind) ? KINDS[kind].title : upperFirst(visible(kind ?? '').replaceAll('_', ' '));
}
