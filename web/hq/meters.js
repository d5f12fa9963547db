// SPDX-License-Identifier: Apache-2.0
// All meters of a site, by node: as cards, or as a short list beside the chosen one.

import { html, useEffect, useMemo, useRef, useState } from './vendor/htm-preact.module.js';
import { CreditLine } from './credit.js';
import { formatCount, formatYearMonth, toInteger, visible } from './format.js';
import { Age, Dot, Energy, freshness, Outside, Spark } from './parts.js';
import { linkTo } from './route.js';

const isConfigured = (meter) => typeof meter.id === 'string' && meter.id !== '';

function byNode(data, words) {
    const groups = new Map(data.nodes.map((node) => [node.mac, { node, mac: node.mac, meters: [], blank: [] }]));
    for (const meter of data.meters) {
        if (!groups.has(meter.node)) {
            groups.set(meter.node, { node: null, mac: meter.node, meters: [], blank: [] });
        }
        const group = groups.get(meter.node);
        if (!isConfigured(meter)) {
            group.blank.push(meter);
        } else if (words.every((word) => `${meter.id} ${meter.node}`.toLowerCase().includes(word))) {
            group.meters.push(meter);
        }
    }
    return [...groups.values()].filter(
        (group) => group.meters.length > 0 || (words.length === 0 && group.blank.length > 0),
    );
}

function Power({ power_w }) {
    return html`<span class="power"><span class="number">${formatCount(power_w)}</span><span class="unit"> W</span>
        </span>`;
}

function Card({ meter }) {
    return html`<li><a class="card" href=${linkTo.meter(meter.node, meter.channel)}
        data-meter=${`${meter.node}/${meter.channel}`}>
        <span class="card-id" title=${visible(meter.id)}><${Outside} text=${meter.id} /></span>
        <${Energy} value_wh=${meter.energy_wh} />
        <span class="card-line"><span class="label">now</span><${Power} power_w=${meter.power_w} /></span>
        <span class="card-line"><span class="label">month</span><${Energy} value_wh=${meter.month_wh} unit=${false} />
            </span>
        <${CreditLine} meter=${meter} />
        <${Spark} hours_wh=${meter.hours_wh} />
    </a></li>`;
}

function Line({ meter, isSelected }) {
    const line = useRef(null);
    useEffect(() => {
        const list = line.current?.closest('.meters.compact');
        if (isSelected && list && list.scrollHeight > list.clientHeight) {
            line.current.scrollIntoView({ block: 'nearest' });
        }
    }, [isSelected]);
    return html`<li><a class="line" ref=${line} href=${linkTo.meter(meter.node, meter.channel)}
        aria-current=${isSelected ? 'true' : undefined}>
        <span class="card-id" title=${visible(meter.id)}><${Outside} text=${meter.id} /></span>
        <${Energy} value_wh=${meter.energy_wh} unit=${false} />
        <${Power} power_w=${meter.power_w} /></a></li>`;
}

function Blank({ blank }) {
    if (blank.length === 0) {
        return null;
    }
    const pulses = blank.reduce((sum, meter) => sum + (toInteger(meter.life_pulses) ?? 0n), 0n);
    return html`<p class="blank muted">${blank.length === 1 ? 'Channel' : 'Channels'} ${blank
        .map((meter) => meter.channel)
        .join(', ')} without a meter${
        pulses > 0n
            ? html`, <span class="warn-text">but ${formatCount(pulses)} pulses were counted there:
                  set an id in the node's
            configuration</span>`
            : ''
    }.</p>`;
}

function Group({ group, data, tz, now_s, compact, selected }) {
    const [fresh, freshText] = freshness(group.node, now_s, data.status.speed);
    return html`<section class="group">
        <h3><${Dot} tone=${fresh} text=${freshText} /><span class="mac">${visible(group.mac)}</span>
            ${group.node?.root && html`<span class="badge root">root</span>`}
            ${!compact && group.node && html`<span
                class="muted">seen <${Age} at_s=${group.node.last_seen} now_s=${now_s} tz=${tz} ago=${true} /></span>`}
        </h3>
        <ul class=${compact ? 'lines' : 'cards'}>${group.meters.map((meter) =>
            compact
                ? html`<${Line} key=${meter.channel} meter=${meter} isSelected=${
                      meter.node === selected?.node && meter.channel === selected?.channel
                  } />`
                : html`<${Card} key=${meter.channel} meter=${meter} />`,
        )}</ul>
        <${Blank} blank=${group.blank} />
    </section>`;
}

function months(meters) {
    return [
        ...new Set(
            meters
                .filter(isConfigured)
                .map((meter) => meter.year_month)
                .filter(Boolean),
        ),
    ].sort();
}

export function Meters({ data, tz, now_s, compact = false, selected = null }) {
    const [filter, setFilter] = useState('');
    const searched = useMemo(() => filter.toLowerCase().split(/\s+/).filter(Boolean), [filter]);
    const groups = byNode(data, searched);
    const count = data.meters.filter(isConfigured).length;
    const monthNames = months(data.meters).map(formatYearMonth).join(', ');
    return html`<section class=${`panel meters ${compact ? 'compact' : ''}`} aria-labelledby="meters-title">
        <div class="panel-head"><h2 id="meters-title">Meters</h2>
            ${!compact && html`<p class="muted">
                ${formatCount(count)}${
                    monthNames && `; month: kWh in ${monthNames}, by hour of the day in the bars`}</p>`}
            ${
                (count > 8 || filter) &&
                html`<input type="search" class="filter" placeholder="Find a meter"
                    aria-label="Find a meter by id or node"
                value=${filter} onInput=${(event) => setFilter(event.currentTarget.value)} />`
            }</div>
        ${
            count === 0 &&
            searched.length === 0 &&
            html`<div class="empty"><p><strong>No meter is configured on this site.</strong></p>
            <p>Give a channel an id and its pulse constant in the node's configuration file; it appears with the
                next round.</p></div>`
        }
        ${groups.map(
            (group) => html`<${Group} key=${group.mac} group=${group} data=${data} tz=${tz} now_s=${now_s}
            compact=${compact} selected=${selected} />`,
        )}
        ${
            groups.length === 0 &&
            searched.length > 0 &&
            html`<p class="empty">No meter's id or node contains “${visible(filter.trim())}”.
            <button type="button" class="quiet" onClick=${() => setFilter('')}>Show all</button></p>`
        }
    </section>`;
}
