// SPDX-License-Identifier: Apache-2.0
// One meter: its registers, its two plots with their tables, and the records of its node.

import { html, useEffect, useMemo, useRef, useState } from './vendor/htm-preact.module.js';
import { getList } from './api.js';
import { Actions, CreditRegisters } from './credit.js';
import { formatCount, formatDuration, formatKwh, formatYearMonth, visible } from './format.js';
import { Age, Energy, Outside, recordsKey, Trust } from './parts.js';
import { HoursPlot, hourName, IntervalsPlot, readIntervals } from './plots.js';
import { ClosedMonths, Events, Gaps, Loading } from './records.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';
import { formatSpan } from './tz.js';

const RANGES = [
    ['1 day', 1],
    ['3 days', 3],
    ['7 days', 7],
    ['30 days', 30],
];
const TABLE_ROWS_MAX = 500;

function Unknown({ data, node, channel }) {
    return html`<section class="panel detail empty"><h2>HQ does not know this meter</h2>
        <p>Node <code class="mac">${visible(node)}</code>, channel ${channel + 1}. ${
            data.site === null
                ? 'No site has reported yet.'
                : 'Check the address: the node may never have reported, or belong to another HQ.'
        }</p>
        <p><a class="back" href=${linkTo.site(data.site)}>All meters</a></p></section>`;
}

function Register({ label, children, title }) {
    return html`<div title=${title}><dt>${label}</dt><dd>${children}</dd></div>`;
}

function Head({ data, meter, tz, now_s }) {
    const heading = useRef(null);
    useEffect(() => heading.current?.focus({ preventScroll: matchMedia('(min-width: 1000px)').matches }), []);
    const shown = data.meters.filter((entry) => entry.id);
    const index = shown.findIndex((entry) => entry.node === meter.node && entry.channel === meter.channel);
    const [previous, next] = index < 0 ? [] : [shown[index - 1], shown[index + 1]];
    const name = meter.id ? visible(meter.id) : 'not configured';
    return html`<div class="detail-head">
        <div><h2 ref=${heading} tabindex="-1">${meter.id ? html`<${Outside} text=${meter.id} />` : name}</h2>
            <p class="muted"><span class="mac">${visible(meter.node)}
                </span> · channel ${formatCount(meter.channel + 1)} · ${formatCount(
                meter.pulse_constant,
            )} imp/kWh · seen <${Age} at_s=${meter.last_seen} now_s=${now_s} tz=${tz} ago=${true} />,
                clock <${Trust} trust=${meter.time_trust} /></p></div>
        <nav aria-label="Meters">
            <a class="back" href=${linkTo.site(data.site)}>All meters</a>
            ${
                previous &&
                html`<a rel="prev" href=${linkTo.meter(previous.node, previous.channel)}
                aria-label=${`Previous meter: ${visible(previous.id)}`}>‹</a>`
            }
            ${
                next &&
                html`<a rel="next" href=${linkTo.meter(next.node, next.channel)}
                aria-label=${`Next meter: ${visible(next.id)}`}>›</a>`
            }
        </nav></div>`;
}

function Registers({ meter }) {
    return html`<dl class="registers">
        <${Register} label="Reading" title="Start reading + pulses × 1000 / pulse constant">
            <${Energy} value_wh=${meter.energy_wh} /><//>
        <${Register} label="Power now" title="Mean power of the newest complete interval">
            <span class="number">${formatCount(meter.power_w)}</span><span class="unit"> W</span><//>
        <${Register} label=${formatYearMonth(meter.year_month)}><${Energy} value_wh=${meter.month_wh} /><//>
        <${Register} label="Interval in progress"><${Energy} value_wh=${meter.interval_wh} /><//>
        <${CreditRegisters} meter=${meter} />
        <${Register} label="Pulses"><span class="number">${formatCount(meter.life_pulses)}</span><//>
    </dl>`;
}

/** A table that is made only when it is opened. */
function TableOf({ summary, children }) {
    const [open, setOpen] = useState(false);
    return html`<details class="as-table" onToggle=${(event) => setOpen(event.currentTarget.open)}>
        <summary>${summary}</summary>${open && children()}</details>`;
}

function Hours({ meter, months, height }) {
    const [chosen, setChosen] = useState('');
    const closed = months.find((month) => month.year_month === chosen);
    const shown = closed ?? { year_month: meter.year_month, hours_wh: meter.hours_wh };
    const name = formatYearMonth(shown.year_month);
    const hasHours = Array.isArray(shown.hours_wh) && shown.hours_wh.length === 24;
    return html`<section class="panel plot-panel" aria-labelledby="hours-title">
        <div class="panel-head"><h3 id="hours-title">Hours of the day</h3>
            <label class="picker"><span class="hidden">Month</span>
                <select value=${closed ? chosen : ''} onChange=${(event) => setChosen(event.currentTarget.value)}>
                    <option value="">${formatYearMonth(meter.year_month)} (running)</option>
                    ${[...months].reverse().map(
                        (month) => html`<option key=${month.year_month} value=${month.year_month}>
                        ${formatYearMonth(month.year_month)}</option>`,
                    )}
                </select></label></div>
        ${
            hasHours
                ? html`<${HoursPlot} identity="hours" hours_wh=${shown.hours_wh} monthName=${name} height=${height} />
                <${TableOf} summary="Show as table">${() => html`<div class="scroll" tabindex="0" role="region"
                    aria-label="Hours of the day">
                    <table class="plain"><caption>${name}: energy by hour of the day</caption>
                    <thead><tr><th scope="col">Hour</th><th scope="col" class="num">kWh</th></tr></thead>
                    <tbody>${shown.hours_wh.map(
                        (energy_wh, hour) => html`<tr key=${hour}><th scope="row">${hourName(hour)}</th>
                        <td class="num">${formatKwh(energy_wh)}</td></tr>`,
                    )}</tbody></table></div>`}<//>`
                : html`<p class="empty">No hours yet: the node files pulses under an hour once its clock is set.</p>`
        }
    </section>`;
}

function IntervalTable({ intervals, tz }) {
    const shown = intervals.slice(-TABLE_ROWS_MAX).reverse();
    const part = intervals.length > shown.length ? `, ${shown.length} of ${formatCount(intervals.length)}` : '';
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Load profile"><table class="plain">
        <caption>Newest first${part}</caption>
        <thead><tr><th scope="col">Interval</th><th scope="col" class="num">W</th><th scope="col" class="num">kWh</th>
            <th scope="col" class="num">Pulses</th><th scope="col">Note</th></tr></thead>
        <tbody>${shown.map(
            (interval) => html`<tr key=${interval.end_s}>
            <th scope="row" class="nowrap">
                ${formatSpan(tz, interval.start_s, interval.end_s)}</th>
            <td class="num">${formatCount(Math.round(interval.power_w))}</td><td class="num">
                ${formatKwh(interval.energy_wh)}</td>
            <td class="num">${formatCount(interval.pulses)}</td>
            <td>${interval.thinned && html`<span class="badge thinned">thinned, ${formatDuration(interval.duration_s)}
                </span> `}
                ${interval.trust === 'held' && html`<span class="badge warn">clock held</span>`}
                ${interval.trust === 'unset' && html`<span class="badge warn">clock set later</span>`}</td></tr>`,
        )}</tbody></table></div>`;
}

function Profile({ node, channel, tz, revision, height }) {
    const [days, setDays] = useState(3);
    const newest_s = useRef(null);
    const load = async (signal) => {
        // Without "from" HQ counts back from the newest interval, also where that is long ago; further ranges start
        // from what it gave.
        if (days !== 3 && newest_s.current === null) {
            const rows = await getList('intervals', { node, channel }, signal);
            newest_s.current = rows.at(-1)?.[0] ?? null;
        }
        const from = days === 3 || newest_s.current === null ? undefined : newest_s.current - days * 86400;
        const rows = await getList('intervals', { node, channel, from }, signal);
        newest_s.current = rows.at(-1)?.[0] ?? newest_s.current;
        return { days, rows };
    };
    const { value, error } = useResource(load, `${node}/${channel}`, [revision, days]);
    const rows = value?.rows;
    const intervals = useMemo(() => readIntervals(rows ?? []), [rows]);
    const hasThinned = intervals.some((interval) => interval.thinned);
    return html`<section class="panel plot-panel" aria-labelledby="profile-title">
        <div class="panel-head"><h3 id="profile-title">Last days</h3>
            <div class="choice" role="group" aria-label="Range">${RANGES.map(
                ([name, count]) => html`
                <button type="button" key=${count} aria-pressed=${count === days ? 'true' : 'false'}
                    onClick=${() => setDays(count)}>${name}</button>`,
            )}</div></div>
        ${error && html`<p class="warn-text padded">Load profile not available: ${visible(error.message)}.</p>`}
        ${!value && !error && html`<p class="empty muted">Asking HQ …</p>`}
        ${
            value &&
            intervals.length === 0 &&
            html`<p class="empty">No complete interval has arrived yet. The first comes at the next quarter of an
            hour of the node's clock, with the round after it.</p>`
        }
        ${
            intervals.length > 0 &&
            html`<${IntervalsPlot} identity=${`${value.days} ${JSON.stringify(tz)}`} intervals=${intervals} tz=${tz}
                height=${height} />
            ${
                hasThinned &&
                html`<p class="key"><span class="swatch thinned">
                    </span> thinned: several intervals were summed when the node's journal was full;
                the energy is exact</p>`
            }
            <${TableOf} summary="Show as table">${() => html`<${IntervalTable} intervals=${intervals} tz=${tz} />`}<//>`
        }
    </section>`;
}

function plotHeight() {
    return matchMedia('(max-width: 640px)').matches ? 190 : 200;
}

export function MeterDetail({ data, tz, now_s, node, channel, revision }) {
    const meter = data.meters.find((entry) => entry.node === node && entry.channel === channel);
    const key = recordsKey(
        data.nodes.find((entry) => entry.mac === node),
        revision,
    );
    const months = useResource((signal) => getList('months', { node, channel }, signal), `${node}/${channel}`, [
        meter?.year_month,
        Math.floor(revision / 15),
    ]);
    const height = plotHeight();
    if (!meter) {
        return html`<${Unknown} data=${data} node=${node} channel=${channel} />`;
    }
    return html`<article class="detail" aria-label=${`Meter ${meter.id ? visible(meter.id) : channel + 1}`}>
        <section class="panel">
            <${Head} data=${data} meter=${meter} tz=${tz} now_s=${now_s} />
            <${Registers} meter=${meter} />
            <${Actions} meter=${meter} revision=${revision} />
        </section>
        <${Profile} node=${node} channel=${channel} tz=${tz} revision=${key} height=${height} />
        <${Hours} meter=${meter} months=${months.value ?? []} height=${height} />
        <div class="columns two">
            <div>
                <section class="panel"><div class="panel-head"><h3>Closed months</h3></div>
                    <div class="padded">${
                        months.value
                            ? html`<${ClosedMonths} months=${months.value} name=${formatYearMonth} />`
                            : html`<${Loading} error=${months.error} />`
                    }</div></section>
                <section class="panel"><div class="panel-head"><h3>Gaps of the node</h3></div>
                    <div class="padded"><${Gaps} node=${node} revision=${key} /></div></section>
            </div>
            <section class="panel"><div class="panel-head"><h3>Events of the node</h3></div>
                <div class="padded"><${Events} node=${node} tz=${tz} revision=${key} /></div></section>
        </div>
    </article>`;
}
