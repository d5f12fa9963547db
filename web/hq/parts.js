// SPDX-License-Identifier: Apache-2.0
// Small parts that several views use.

import { html } from './vendor/htm-preact.module.js';
import { formatDuration, formatKwh, toInteger, visible } from './format.js';
import { formatDateTime, formatZone } from './tz.js';

/** Text of an outsider: as text, with its own direction of writing. */
export function Outside({ text }) {
    return html`<bdi>${visible(text)}</bdi>`;
}

/** "5 min" or "5 min ago", with the instant in the site's zone as title. */
export function Age({ at_s, now_s, tz, ago = false }) {
    if (typeof at_s !== 'number' || at_s <= 0) {
        return html`<span class="muted">never</span>`;
    }
    return html`<time datetime=${isoTime(at_s)} title=${`${formatDateTime(tz, at_s)} ${formatZone(tz, at_s)}`}>
        ${formatDuration(now_s - at_s)}${ago ? ' ago' : ''}</time>`;
}

export function isoTime(utc_s) {
    const date = new Date(utc_s * 1000);
    return Number.isNaN(date.getTime()) ? '' : date.toISOString().replace('.000Z', 'Z');
}

/** A time in the site's zone. While a node's clock was not set, its records carry uptime: HQ places them afterwards. */
export function Instant({ at_s, trust, tz, zone }) {
    const placed = trust === 'unset';
    return html`<time datetime=${isoTime(at_s)}
        title=${placed ? "The node's clock was not set then: HQ worked the time out from its later synchronisation" : null}>
        ${placed ? '≈ ' : ''}${formatDateTime(tz, at_s)}${zone ? ` ${formatZone(tz, at_s)}` : ''}</time>`;
}

const TRUSTS = {
    synced: ['good', 'synced', 'The clock was synchronised recently'],
    held: ['warn', 'held', 'The clock was synchronised since the start of the node, but not recently'],
    unset: ['bad', 'not set', 'The clock has not been synchronised since the start of the node'],
};

export function Trust({ trust }) {
    const [tone, text, title] = TRUSTS[trust] ?? ['warn', visible(trust ?? 'unknown'), 'Not a known clock quality'];
    return html`<span class=${`badge ${tone}`} title=${title}>${text}</span>`;
}

/** Energy that tints for a moment when it changes: a new key makes a new element, and that starts the animation. */
export function Energy({ value_wh, unit = true }) {
    const integer = toInteger(value_wh);
    return html`<data class="energy" value=${integer === null ? '' : String(integer)}>
        <span class="number" key=${String(integer)}>${formatKwh(value_wh)}</span>${unit && html`<span
            class="unit"> kWh</span>`}</data>`;
}

/** The 24 hours of the day as bars, for a glance; the numbers are in the meter's view. */
export function Spark({ hours_wh }) {
    const values = (Array.isArray(hours_wh) ? hours_wh : []).map(Number);
    const max = Math.max(...values, 0);
    const path = values
        .map((value, hour) => {
            const height = max > 0 ? Math.max((value / max) * 22, value > 0 ? 1 : 0) : 0;
            return `M${hour * 5} 24v${(-height).toFixed(1)}h3.6v${height.toFixed(1)}z`;
        })
        .join('');
    return html`<svg class="spark" viewBox="0 0 118.6 24" preserveAspectRatio="none" aria-hidden="true">
        <path class="spark-base" d="M0 23.5h118.6" /><path class="spark-bars" d=${path} /></svg>`;
}

const LATE_S = 25 * 60;
const SILENT_S = 2 * 3600;

/**
 * How a node is doing by its age: three cycles of 500 s missed are late. A site whose clock runs faster has fewer
 * cycles an hour.
 */
export function freshness(node, now_s, speed) {
    const age_s = now_s - (node?.last_seen ?? 0);
    const factor = Math.max(Number(speed) || 1, 1);
    if (!node?.last_seen) {
        return ['bad', 'never seen'];
    }
    if (age_s > Math.max(SILENT_S, 120 * factor)) {
        return ['bad', 'silent'];
    }
    return age_s > Math.max(LATE_S, 30 * factor) ? ['warn', 'late'] : ['good', 'on time'];
}

export function Dot({ tone, text }) {
    return html`<span class=${`dot ${tone}`} role="img" aria-label=${text} title=${text}></span>`;
}

/** Changes when the node's records at HQ did, and now and then anyway (records may arrive before the watermark). */
export function recordsKey(node, revision) {
    return `${node?.epoch}:${node?.watermark}:${node?.gaps}:${Math.floor(revision / 5)}`;
}
