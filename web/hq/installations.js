// SPDX-License-Identifier: Apache-2.0
// Nodes that want to join, and what installers have set up: those that wait for a word from HQ first, then what was
// decided.

import { html, useState } from './vendor/htm-preact.module.js';
import { get } from './api.js';
import { Decide, Decision, isOnItsWay } from './deciding.js';
import { formatCount, formatKwh, visible, words } from './format.js';
import { Joins } from './joins.js';
import { At } from './orders.js';
import { isoTime, Outside } from './parts.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';

const STATES = {
    waiting: ['warn', 'the node waits for HQ; meters that are new or changed have no supply until then'],
    confirmed: ['good', 'the node has answered and runs'],
    refused: ['bad', 'the node was not told; it goes on waiting'],
    superseded: ['neutral', 'a newer installation of this node has come'],
};
const nodeName = (item) => `node ${visible(item.node)}`;

function Badge({ item }) {
    const [tone, meaning] = Object.hasOwn(STATES, item.state ?? '') ? STATES[item.state] : ['neutral', ''];
    return html`<span class=${`badge ${tone}`} title=${meaning}>${words(item.state ?? '')}</span>`;
}

/** 0 is what an installer left empty. */
function placeText(item) {
    return [
        `number ${formatCount(item.node_no)}`,
        item.province && `province ${formatCount(item.province)}`,
        item.canton && `canton ${formatCount(item.canton)}`,
        item.parish && `parish ${formatCount(item.parish)}`,
        item.postal_code && `postal code ${String(item.postal_code)}`,
    ].filter(Boolean).join(', ');
}

function MeterRow({ meter }) {
    return html`<tr role="row"><th role="rowheader" scope="row" data-label="Channel">
            ${formatCount(Number(meter.channel) + 1)}</th>
        <td role="cell" data-label="Meter"><${Outside} text=${meter.id ?? ''} />${
            meter.conflict && html` <span class="badge bad">conflict</span>`
        }</td>
        <td role="cell" data-label="Pulses per kWh" class="num">${formatCount(meter.pulse_constant)}</td>
        <td role="cell" data-label="Begins at, kWh" class="num">${formatKwh(meter.start_wh)}</td>
        <td role="cell" data-label="Prepaid">${meter.prepaid ? 'yes' : 'no'}</td></tr>`;
}

function MeterTable({ item }) {
    const meters = Array.isArray(item.meters) ? item.meters : [];
    if (meters.length === 0) {
        return html`<p class="muted">No meter is configured.</p>`;
    }
    return html`<table role="table" class="stack" aria-label=${`Meters of ${nodeName(item)}`}>
        <thead role="rowgroup"><tr role="row">${[
            ['Channel', ''],
            ['Meter', ''],
            ['Pulses per kWh', 'num'],
            ['Begins at, kWh', 'num'],
            ['Prepaid', ''],
        ].map(
            ([name, className]) => html`<th role="columnheader" scope="col" key=${name} class=${className}>${name}</th>`,
        )}</tr></thead>
        <tbody role="rowgroup">${meters.map((meter) => html`<${MeterRow} key=${meter.channel} meter=${meter} />`)}
        </tbody></table>`;
}

const conflictsOf = (item) => (Array.isArray(item.meters) ? item.meters : []).filter(({ conflict }) => conflict);

function conflictText(item, meter) {
    return meter.conflict === item.node
        ? `${visible(meter.id)} stands on two channels of this node.`
        : `${visible(meter.id)} is a meter of node ${visible(meter.conflict)}, too.`;
}

function Conflicts({ item }) {
    const found = conflictsOf(item);
    return found.length > 0
        ? html`<ul class="conflicts">${found.map(
              (meter) => html`<li key=${meter.channel}>${conflictText(item, meter)}</li>`,
          )}</ul>`
        : null;
}

/** Confirm and refuse. */
function DecideInstallation({ item, onDone }) {
    const conflicts = conflictsOf(item);
    const question = html`<p>The node runs with ${formatCount(item.meters?.length ?? 0)} meters as set up by${' '}
            <${Outside} text=${item.installer ?? ''} />, as soon as the command has reached it.</p>
        ${
            conflicts.length > 0 &&
            html`<p><strong>Is this right?</strong> ${conflicts
                .map((meter) => conflictText(item, meter))
                .join(' ')} Two devices would report under one name.</p>`
        }`;
    const refusal = html`<p>The node is not told: it goes on waiting, until an installer sets it up again or it is
        confirmed after all.</p>`;
    return html`<${Decide} path=${`installations/${item.id}`} verb="confirm" title="Confirm" name=${nodeName(item)}
        state=${item.state} question=${question} refusal=${refusal} onDone=${onDone}
        off=${
            item.has_key === false &&
            'HQ has no key of this node, so it cannot be confirmed: import its key first.'
        } />`;
}

function Installed({ item, tz }) {
    return item.installed
        ? html`<time datetime=${isoTime(Number(item.installed))}><${At} at_s=${item.installed} tz=${tz} /></time>`
        : html`<span class="muted" title="The node's clock was not set then">not known</span>`;
}

function Waiting({ item, tz, onDone }) {
    return html`<article class="installation padded" data-installation=${item.id}
            aria-labelledby=${`installation-${item.id}`}>
        <div class="installation-head"><h3 id=${`installation-${item.id}`}>
                <span class="mac">${visible(item.node ?? '')}</span></h3>
            <${Badge} item=${item} />${conflictsOf(item).length > 0 && html`<span class="badge bad">conflict</span>`}
            ${item.repeated && html`<span class="badge neutral" title="HQ had asked for it">asked for again</span>`}
        </div>
        <dl class="registers facts">
            <div><dt>Installer</dt><dd><${Outside} text=${item.installer || '–'} /></dd></div>
            <div><dt>Site</dt><dd><${Outside} text=${item.site ?? '–'} /></dd></div>
            <div><dt>Place</dt><dd>${placeText(item)}</dd></div>
            <div><dt>Set up</dt><dd><${Installed} item=${item} tz=${tz} /></dd></div>
            <div><dt>Received</dt><dd><${At} at_s=${item.received} tz=${tz} /></dd></div>
            <div><dt>Revision</dt><dd>${formatCount(item.revision)}</dd></div>
        </dl>
        <${Conflicts} item=${item} />
        <${MeterTable} item=${item} />
        <${Decision} item=${item} done="Confirmed" tz=${tz} />
        ${
            isOnItsWay(item)
                ? html`<p role="status" class="muted">On its way to the node; it is confirmed when the node's answer has
                  come.</p>`
                : html`<${DecideInstallation} item=${item} onDone=${onDone} />`
        }
    </article>`;
}

function HistoryRow({ item, tz, isNewest, onDone }) {
    const meters = Array.isArray(item.meters) ? item.meters : [];
    return html`<tr role="row" data-installation=${item.id}>
        <td role="cell" data-label="Node"><div class="mac">${visible(item.node ?? '')}</div>
            <span class="muted">revision ${formatCount(item.revision)}</span></td>
        <td role="cell" data-label="Installer"><${Outside} text=${item.installer || '–'} /></td>
        <td role="cell" data-label="Received" class="nowrap"><${At} at_s=${item.received} tz=${tz} /></td>
        <td role="cell" data-label="Meters"><${Outside} text=${meters.map(({ id }) => id).join(', ') || '–'} /></td>
        <td role="cell" data-label="State"><${Badge} item=${item} /></td>
        <td role="cell" data-label="Decision" class=${item.decided_by ? 'wide' : 'none'}>
            <${Decision} item=${item} done="Confirmed" tz=${tz} />
            ${item.state === 'refused' && isNewest && html`<${DecideInstallation} item=${item} onDone=${onDone} />`}</td></tr>`;
}

function History({ items, all, tz, onDone }) {
    const newest = new Map();
    for (const item of all) {
        if (item.state !== 'superseded') {
            newest.set(item.node, Math.max(newest.get(item.node) ?? 0, Number(item.id)));
        }
    }
    return html`<section class="panel" aria-labelledby="history-title">
        <div class="panel-head"><h2 id="history-title">Decided</h2><p class="muted">Newest first.</p></div>
        ${items.length === 0 && html`<p class="empty">Nothing yet.</p>`}
        ${
            items.length > 0 &&
            html`<div class="padded"><table role="table" class="stack installations" aria-labelledby="history-title">
            <thead role="rowgroup"><tr role="row">${['Node', 'Installer', 'Received', 'Meters', 'State', 'Decision'].map(
                (name) => html`<th role="columnheader" scope="col" key=${name}>${name}</th>`,
            )}</tr></thead>
            <tbody role="rowgroup">${items.map(
                (item) => html`<${HistoryRow} key=${item.id} item=${item} tz=${tz} onDone=${onDone}
                isNewest=${newest.get(item.node) === Number(item.id)} />`,
            )}</tbody></table></div>`
        }
    </section>`;
}

export function Installations({ tz, revision }) {
    const [again, setAgain] = useState(0);
    const { value, error } = useResource(
        async (signal) => {
            const answer = await get('installations', { state: 'all' }, signal, true);
            return {
                items: Array.isArray(answer?.installations) ? answer.installations : [],
                rules: Array.isArray(answer?.auto_confirm) ? answer.auto_confirm : [],
            };
        },
        'installations',
        [revision, again],
    );
    const waiting = value?.items.filter(({ state }) => state === 'waiting') ?? [];
    const decided = value?.items.filter(({ state }) => state !== 'waiting') ?? [];
    const onDone = () => setAgain(again + 1);
    return html`<${Joins} tz=${tz} revision=${revision} />
    <section class="panel" aria-labelledby="waiting-title">
        <div class="panel-head"><h2 id="waiting-title">Installations that wait</h2>
            ${
                value?.rules.length > 0 &&
                html`<p class="muted">HQ confirms by itself what is clear at${' '}
                ${value.rules.map((site, index) => html`${index > 0 && ', '}<${Outside} text=${site} />`)}.</p>`
            }</div>
        ${value === null && html`<div class="padded"><${Loading} error=${error} /></div>`}
        ${value !== null && error && html`<p class="padded warn-text">These are the last known ones: ${visible(error.message)}.</p>`}
        ${value !== null && waiting.length === 0 && html`<p class="empty">None.</p>`}
        ${waiting.map((item) => html`<${Waiting} key=${item.id} item=${item} tz=${tz} onDone=${onDone} />`)}
    </section>
    ${value !== null && html`<${History} items=${decided} all=${value.items} tz=${tz} onDone=${onDone} />`}`;
}
