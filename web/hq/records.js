// SPDX-License-Identifier: Apache-2.0
// Gaps, events, quarantine: what happened, as tables.

import { html } from './vendor/htm-preact.module.js';
import { getList } from './api.js';
import { formatCount, formatDuration, formatKwh, toInteger, visible, words } from './format.js';
import { Instant, Outside } from './parts.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';
import { formatDateTime } from './tz.js';

/** In the place of a table that is not there yet, or cannot be had. */
export function Loading({ error }) {
    return error
        ? html`<p class="warn-text">Not available: ${visible(error.message)}.</p>`
        : html`<p class="muted">Asking HQ …</p>`;
}

const GAP_REASONS = {
    thinned: 'thinned: coarser records stand for them',
    full: "the node's journal was full",
    damaged: 'damaged in flash',
};

function gapSize(gap) {
    const [first, last] = [toInteger(gap.first), toInteger(gap.last)];
    return first === null || last === null ? null : last - first + 1n;
}

export function Gaps({ node, revision }) {
    const { value, error } = useResource((signal) => getList('gaps', { node }, signal), node, [revision]);
    if (value === null) {
        return html`<${Loading} error=${error} />`;
    }
    if (value.length === 0) {
        return html`<p class="muted">None: HQ has every record up to its watermark.</p>`;
    }
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Gaps"><table class="plain">
        <thead><tr><th scope="col">Records</th><th scope="col" class="num">Number</th><th scope="col">Why</th></tr>
            </thead>
        <tbody>${value.map(
            (gap) => html`<tr key=${`${gap.epoch}:${gap.first}`}>
            <td class="num-left nowrap">${formatCount(gap.epoch)}:${formatCount(gap.first)} … ${formatCount(gap.last)}
                </td>
            <td class="num">${formatCount(gapSize(gap))}</td>
            <td>${gap.reason ? (GAP_REASONS[gap.reason] ?? words(gap.reason)) : 'not known'}
                ${!gap.explained && html` <span class="badge warn"
                    title="The node has not said what happened to them">not explained</span>`}</td>
        </tr>`,
        )}</tbody></table></div>`;
}

const RELAY_REASONS = ['locked', 'no credit', 'tamper', 'not commissioned'];

function relayText([channel, reasons, pulses]) {
    const names = RELAY_REASONS.filter((_, bit) => (Number(reasons) >> bit) & 1);
    const why = names.length > 0 ? `${names.join(', ')}, ` : '';
    return `channel ${formatCount(Number(channel) + 1)}: ${why}at ${formatCount(pulses)} pulses`;
}

/** What an event's values mean, by its name. Of others HQ tells the names of the values, unless it does not know them. */
const EVENT_TEXTS = {
    boot: ([boot, reason]) => `start ${formatCount(boot)}, reset reason ${formatCount(reason)}`,
    time_synced: ([, uptime, , pulses]) =>
        `${formatDuration(Number(uptime))} after the start; ${formatCount(pulses)} pulses filed`,
    time_stepped: ([before, after]) =>
        `by ${formatDuration(Math.abs(Number(after) - Number(before)))} ${
            Number(after) >= Number(before) ? 'forward' : 'back'
        }`,
    root_taken: () => 'this node serves the uplink',
    root_lost: ([routerUp]) => (Number(routerUp) ? 'its router was up' : 'its router was down'),
    configuration: ([channel, before, after, pulses]) =>
        `channel ${formatCount(Number(channel) + 1)}: ${formatCount(before)} → ${formatCount(
            after,
        )} imp/kWh at ${formatCount(pulses)} pulses`,
    journal_restarted: ([epoch, seq]) => `previous epoch ${formatCount(epoch)}, last known record ${formatCount(seq)}`,
    counter_restarted: ([before, after]) => `generation ${formatCount(before)} → ${formatCount(after)}`,
    registers_recovered: ([kind]) =>
        Number(kind) === 1 ? 'one of two copies was damaged' : 'both copies were damaged: from zero',
    supply_cut: relayText,
    supply_restored: relayText,
    relay_reasons: relayText,
    token_lock_out: ([channel, wrong, lockOut_s]) =>
        `channel ${formatCount(Number(channel) + 1)}: ${formatCount(wrong)} wrong in a row, ${formatDuration(
            Number(lockOut_s),
        )}`,
    node_reset: ([network, installation]) =>
        `at the device, with a good code: network ${formatCount(network)} is gone${
            Number(installation) ? `, installation ${formatCount(installation)} stays` : ''
        }`,
    installer_lock_out: ([wrong, times, lockOut_s]) =>
        `${formatCount(wrong)} wrong codes of an installer, lock-out ${formatCount(times)} in a row: ${formatDuration(
            Number(lockOut_s),
        )}`,
    credit_meter_changed: ([channel, balance, pending, swap]) =>
        `channel ${formatCount(Number(channel) + 1)} has another meter; balance ${formatKwh(balance)} kWh, sold and ` +
        `not taken ${formatKwh(pending)} kWh: swap ${formatCount(swap)} was opened, see Books`,
    configuration_behind: ([, network, installation]) =>
        `the newest configuration is damaged; network ${formatCount(network)} and installation ${formatCount(installation)} ` +
        'count until it is confirmed again, under Installations',
    credit_not_withdrawn: ([channel, balance, , swap]) =>
        `channel ${formatCount(Number(channel) + 1)} has credit that came after swap ${formatCount(swap)}: nothing was cleared, ` +
        `${formatKwh(balance)} kWh were to be`,
    console: ([act, refused, before]) =>
        `${['', 'find', 'display'][Number(act)] ?? `line ${formatCount(act)}`} at the device${
            Number(refused) ? ', refused' : ''
        }${Number(before) > 0 ? `, and ${formatCount(before)} acts before it` : ''}`,
    hold: () => 'no metering records until the next start',
};

function eventText(event) {
    const values = Array.isArray(event.values) ? event.values : [];
    if (Object.hasOwn(EVENT_TEXTS, event.name)) {
        return EVENT_TEXTS[event.name](values);
    }
    if (Array.isArray(event.value_names)) {
        return values
            .map((value, index) => [event.value_names[index], value])
            .filter(([name]) => name)
            .map(([name, value]) => `${visible(name)} ${formatCount(name === 'channel' ? Number(value) + 1 : value)}`)
            .join(', ');
    }
    return values.some((value) => Number(value) !== 0) ? `values ${values.map(formatCount).join(', ')}` : '';
}

export function Events({ node, tz, revision, limit = 50 }) {
    const { value, error } = useResource((signal) => getList('events', { node, limit }, signal), node, [revision]);
    if (value === null) {
        return html`<${Loading} error=${error} />`;
    }
    if (value.length === 0) {
        return html`<p class="muted">None yet. The first one is the node's start.</p>`;
    }
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Events"><table class="plain">
        <thead><tr><th scope="col">Time</th><th scope="col">Event</th></tr></thead>
        <tbody>${value.map(
            (event) => html`<tr key=${`${event.epoch}:${event.seq}`}>
            <td class="num-left nowrap"><${Instant} at_s=${event.time} trust=${event.time_trust} tz=${tz} /></td>
            <td><strong>${words(event.name)}</strong> <span class="muted">${eventText(event)}</span></td>
        </tr>`,
        )}</tbody></table></div>`;
}

/** Closed months, newest first. */
export function ClosedMonths({ months, name }) {
    if (months.length === 0) {
        return html`<p class="muted">None yet. A month appears here when the node has closed it.</p>`;
    }
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Closed months"><table class="plain">
        <thead><tr><th scope="col">Month</th><th scope="col" class="num">Used, kWh</th><th scope="col"
            class="num">Reading, kWh</th></tr></thead>
        <tbody>${[...months].reverse().map(
            (month) => html`<tr key=${month.year_month}>
            <td>${name(month.year_month)}</td><td class="num">${formatKwh(month.month_wh)}</td>
            <td class="num">${formatKwh(month.energy_wh)}</td></tr>`,
        )}</tbody></table></div>`;
}

export function Quarantine({ tz, revision, site }) {
    const { value, error } = useResource((signal) => getList('quarantine', {}, signal), 'quarantine', [revision]);
    return html`<section class="panel" aria-labelledby="quarantine-title">
        <div class="panel-head"><h2 id="quarantine-title">Quarantine</h2>
            <p class="muted">Messages that could not be decoded, newest first. They are kept, and harm nothing.</p>
            <a class="back" href=${linkTo.site(site)}>Back to the site</a></div>
        ${value === null && html`<div class="padded"><${Loading} error=${error} /></div>`}
        ${value?.length === 0 && html`<p class="empty">Empty: every message so far was understood.</p>`}
        ${
            value?.length > 0 &&
            html`<div class="scroll tall" tabindex="0" role="region" aria-labelledby="quarantine-title"><table
                class="plain">
            <thead><tr><th scope="col">Received</th><th scope="col">Topic</th><th scope="col">Reason</th>
                <th scope="col" class="num">Bytes</th><th scope="col">Begins with</th></tr></thead>
            <tbody>${value.map(
                (entry) => html`<tr key=${entry.id}>
                <td class="num-left nowrap">${formatDateTime(tz, entry.received)}</td>
                <td><code><${Outside} text=${entry.topic} /></code></td><td><${Outside} text=${entry.reason} /></td>
                <td class="num">${formatCount(entry.bytes)}</td><td><code class="hex">${visible(entry.head_hex ?? '')}
                    </code></td>
            </tr>`,
            )}</tbody></table></div>
            <p class="padded muted">To see what is in one: <code>meshmeter decode FILE</code>.</p>`
        }
    </section>`;
}
