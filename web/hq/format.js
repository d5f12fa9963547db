// SPDX-License-Identifier: Apache-2.0
// Numbers and names as text. Energies are integers (BigInt), so that the last watt-hour of a large register is right.

const GROUP = '\u202f'; // narrow no-break space
const NONE = '–';

/** Integer of the API (number, or text of digits when it is beyond 2^53) as BigInt; null for anything else. */
export function toInteger(value) {
    if (typeof value === 'bigint') {
        return value;
    }
    if (typeof value === 'number' && Number.isFinite(value)) {
        return BigInt(Math.trunc(value));
    }
    return typeof value === 'string' && /^-?\d+$/.test(value) ? BigInt(value) : null;
}

function grouped(digits) {
    return digits.replace(/\B(?=(\d{3})+(?!\d))/g, GROUP);
}

export function formatCount(value) {
    const integer = toInteger(value);
    if (integer === null) {
        return NONE;
    }
    return integer < 0n ? `−${grouped(String(-integer))}` : grouped(String(integer));
}

/** Wh as kWh with three decimals, without the unit. */
export function formatKwh(value_wh) {
    const integer = toInteger(value_wh);
    if (integer === null) {
        return NONE;
    }
    const positive = integer < 0n ? -integer : integer;
    const text = `${grouped(String(positive / 1000n))}.${String(positive % 1000n).padStart(3, '0')}`;
    return integer < 0n ? `−${text}` : text;
}

/** Number of a plot's axis: no more digits than it has. */
export function formatAxis(value) {
    const [whole, fraction] = String(Math.abs(Math.round(value * 1000) / 1000)).split('.');
    return `${value < 0 ? '−' : ''}${grouped(whole)}${fraction ? `.${fraction}` : ''}`;
}

/** Duration as its two largest units. */
export function formatDuration(duration_s) {
    if (!Number.isFinite(duration_s)) {
        return NONE;
    }
    const s = Math.max(0, Math.round(duration_s));
    if (s < 60) {
        return `${s} s`;
    }
    if (s < 3600) {
        return s % 60 && s < 600 ? `${Math.trunc(s / 60)} min ${s % 60} s` : `${Math.trunc(s / 60)} min`;
    }
    if (s < 86400) {
        const min = Math.trunc((s % 3600) / 60);
        return min ? `${Math.trunc(s / 3600)} h ${min} min` : `${Math.trunc(s / 3600)} h`;
    }
    const h = Math.trunc((s % 86400) / 3600);
    return h ? `${Math.trunc(s / 86400)} d ${h} h` : `${Math.trunc(s / 86400)} d`;
}

const MONTH_NAMES = [
    'January',
    'February',
    'March',
    'April',
    'May',
    'June',
    'July',
    'August',
    'September',
    'October',
    'November',
    'December',
];

/** "2016-03" as "March 2016"; anything else as it is. */
export function formatYearMonth(text) {
    const match = /^(\d{4})-(\d{2})$/.exec(text ?? '');
    const name = match && MONTH_NAMES[Number(match[2]) - 1];
    return name ? `${name} ${match[1]}` : visible(text ?? NONE);
}

/**
 * Text from outside, with what cannot be seen made visible: control characters and the ones that turn the direction of
 * writing could make one meter look like another. (Markup needs no care here: text is only ever set as text.)
 */
export function visible(text) {
    return String(text).replace(
        /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g,
        (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
}

/** "journal_thinned" as "journal thinned". */
export function words(name) {
    return visible(name).replaceAll('_', ' ');
}
