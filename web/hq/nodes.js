// SPDX-License-Identifier: Apache-2.0
// The nodes behind the root.

import { html, useState } from './vendor/htm-preact.module.js';
import { Display } from './display.js';
import { formatCount, formatDuration, visible, words } from './format.js';
import { Age, Dot, freshness, recordsKey, Trust } from './parts.js';
import { Events, Gaps } from './records.js';

const COLUMNS = ['Node', 'Layer', 'Last seen', 'Clock', 'Backlog', 'Gaps', 'Missed rounds', 'Committed', 'Up', 'More'];
const TITLES = {
    Layer: 'Hops from the router; the root is layer 1',
    Backlog: 'Records that the node has and HQ has not',
    'Missed rounds': 'Collections that the node did not answer in time',
    Committed: "HQ's watermark and the newest record of the node, as epoch:sequence",
    Up: 'Time since the start of the node, and which start it was',
};

function Cell({ name, className = '', children }) {
    return html`<td role="cell" data-label=${name} class=${className}>${children}</td>`;
}

const tone = (value) => (Number(value) > 0 ? 'num warn-text' : 'num');

function Counters({ counters }) {
    const entries = Object.entries(counters ?? {})
        .filter(([, count]) => Number(count) > 0)
        .sort(([left], [right]) => (left < right ? -1 : 1));
    if (entries.length === 0) {
        return html`<p class="muted">All zero: nothing went wrong since the node started.</p>`;
    }
    return html`<dl class="counters">${entries.map(
        ([name, count]) => html`
        <div key=${name}><dt>${words(name)}</dt><dd>${formatCount(count)}</dd></div>`,
    )}</dl>`;
}

function NodeRow({ node, data, now_s, tz, revision }) {
    const [open, setOpen] = useState(false);
    const [fresh, freshText] = freshness(node, now_s, data.status.speed);
    const key = recordsKey(node, revision);
    const id = `node-${node.mac}`;
    const newest = Number(node.next) > 0 ? Number(node.next) - 1 : null;
    return html`<tr role="row" class=${open ? 'open' : ''}>
        <th role="rowheader" scope="row" data-label="Node"><${Dot} tone=${fresh} text=${freshText} />
            <span class="mac">${visible(node.mac)}</span>${node.root && html` <span class="badge root">root</span>`}
                </th>
        <${Cell} name="Layer" className="num">${formatCount(node.layer)}<//>
        <${Cell} name="Last seen" className="num"><${Age} at_s=${node.last_seen} now_s=${now_s} tz=${tz} /><//>
        <${Cell} name="Clock"><${Trust} trust=${node.time_trust} /><//>
        <${Cell} name="Backlog" className=${tone(node.backlog)}>${formatCount(node.backlog)}<//>
        <${Cell} name="Gaps" className=${tone(node.gaps)}>${formatCount(node.gaps)}<//>
        <${Cell} name="Missed rounds" className=${tone(node.missed_rounds)}>${formatCount(node.missed_rounds)}<//>
        <${Cell} name="Committed" className="num">${formatCount(node.epoch)}:${formatCount(node.watermark)}
            <span class="muted">${newest === null ? '' : ` of ${formatCount(newest)}`}</span><//>
        <${Cell} name="Up" className="num">${formatDuration(node.uptime_s)} <span
            class="muted">#${formatCount(node.boot_no)}</span><//>
        <${Cell} name="More" className="more">
            <button type="button" class="quiet" aria-expanded=${open ? 'true' : 'false'} aria-controls=${id}
                aria-label=${`Counters, gaps and events of ${node.mac}`} onClick=${() => setOpen(!open)}>
                ${open ? 'Less' : 'More'}</button><//>
    </tr>
    ${
        open &&
        html`<tr role="row" class="more-row" id=${id}><td role="cell" colspan=${COLUMNS.length}>
        ${
            data.status.displays &&
            html`<section><h3>Display</h3><${Display} node=${node.mac} revision=${revision} /></section>`
        }
        <div class="columns three">
            <section><h3>Counters since start</h3><${Counters} counters=${node.counters} /></section>
            <section><h3>Gaps</h3><${Gaps} node=${node.mac} revision=${key} /></section>
            <section><h3>Events</h3><${Events} node=${node.mac} tz=${tz} revision=${key} limit=${20} /></section>
        </div></td></tr>`
    }`;
}

export function Nodes({ data, tz, now_s, revision }) {
    const { nodes } = data;
    const late = nodes.filter((node) => freshness(node, now_s, data.status.speed)[0] !== 'good').length;
    if (nodes.length === 0) {
        return html`<section class="panel empty"><h2>No nodes yet</h2>
            <p>The site is known, but none of its nodes has sent a snapshot. It comes with the next round
                of the root.</p></section>`;
    }
    return html`<section class="panel" aria-labelledby="nodes-title">
        <div class="panel-head"><h2 id="nodes-title">Nodes</h2>
            <p class="muted">${formatCount(nodes.length)} in the mesh${
                late > 0 ? html`, <span class="warn-text">${formatCount(late)} late or silent</span>` : ', all on time'
            }</p></div>
        <table class="nodes" role="table" aria-labelledby="nodes-title">
            <thead role="rowgroup"><tr role="row">${COLUMNS.map(
                (name) => html`
                <th role="columnheader" scope="col" key=${name} title=${TITLES[name]}
                    class=${['Node', 'Clock'].includes(name) ? '' : 'num'}>${
                        name === 'More' ? html`<span class="hidden">${name}</span>` : name
                    }</th>`,
            )}</tr></thead>
            <tbody role="rowgroup">${nodes.map(
                (node) => html`<${NodeRow} key=${node.mac} node=${node} data=${data}
                now_s=${now_s} tz=${tz} revision=${revision} />`,
            )}</tbody>
        </table></section>`;
}
