// SPDX-License-Identifier: Apache-2.0
// Devices that ask for the network of a site: those that wait for a word from HQ, what was decided, and apart from both
// what nobody has proved.

import { html, useState } from './vendor/htm-preact.module.js';
import { get } from './api.js';
import { Decide, Decision, isOnItsWay } from './deciding.js';
import { formatCount, visible, words } from './format.js';
import { At } from './orders.js';
import { Outside } from './parts.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';

const STATES = {
    waiting: ['warn', 'the node has no network until it is admitted; it goes on asking'],
    admitted: ['good', 'the gateway was told, and hands the network over'],
    refused: ['bad', 'the node was not told; it goes on asking'],
    superseded: ['neutral', 'this node has asked again since'],
    unproved: ['neutral', 'anybody in radio range can send this'],
};

const nodeName = (item) => `node ${visible(item.device)}`;

function Badge({ item }) {
    const [tone, meaning] = Object.hasOwn(STATES, item.state ?? '') ? STATES[item.state] : ['neutral', ''];
    return html`<span class=${`badge ${tone}`} title=${meaning}>${words(item.state ?? '')}</span>`;
}

function conflictText({ conflict }) {
    return conflict.why === 'is_there'
        ? `This node belongs to site ${visible(conflict.site)}.`
        : `This node asks at site ${visible(conflict.site)}, too.`;
}

function networkText(item) {
    if (Number(item.revision) === 0) {
        return item.is_member ? 'none; it was a node of this site before' : 'none yet';
    }
    return 'an older one than the gateway’s';
}

/** Why it cannot be admitted, or nothing. */
function obstacle(item) {
    if (item.has_key === false) {
        return 'HQ has no key of this node any more, so it cannot be admitted: import its key first.';
    }
    return item.root_has_key === false
        ? `HQ has no key of the gateway ${visible(item.root)}, so it would not obey: import its key first.`
        : null;
}

function DecideJoin({ item, onDone }) {
    const question = html`<p>The node gets the network of site <${Outside} text=${item.site ?? ''} />: the router's and the
            broker's passwords, sealed for it alone. It takes one or two sessions of the gateway.</p>
        ${item.conflict && html`<p><strong>Is this right?</strong> ${conflictText(item)} A node can be in one site only.</p>`}`;
    const refusal = html`<p>The node is not told: it goes on asking. If it is switched off and on, it asks anew, and stands
        here again.</p>`;
    return html`<${Decide} path=${`joins/${item.id}`} verb="admit" title="Admit" name=${nodeName(item)}
        state=${item.state} off=${obstacle(item)} question=${question} refusal=${refusal} onDone=${onDone} />`;
}

function Waiting({ item, tz, onDone }) {
    return html`<article class="join padded" data-join=${item.id} aria-labelledby=${`join-${item.id}`}>
        <div class="installation-head"><h3 id=${`join-${item.id}`}><span class="mac">${visible(item.device ?? '')}</span></h3>
            <${Badge} item=${item} />${item.conflict && html`<span class="badge bad">conflict</span>`}</div>
        <dl class="registers facts">
            <div><dt>Site</dt><dd><${Outside} text=${item.site ?? '–'} /></dd></div>
            <div><dt>Network</dt><dd>${networkText(item)}</dd></div>
            <div><dt>Heard by</dt><dd class="mac">${visible(item.via ?? '')}</dd></div>
            <div><dt>Gateway</dt><dd class="mac">${visible(item.root ?? '')}</dd></div>
            <div><dt>Received</dt><dd><${At} at_s=${item.received} tz=${tz} /></dd></div>
        </dl>
        ${item.conflict && html`<ul class="conflicts"><li>${conflictText(item)}</li></ul>`}
        <${Decision} item=${item} done="Admitted" tz=${tz} />
        ${
            isOnItsWay(item)
                ? html`<p role="status" class="muted">On its way to the gateway; it is admitted when the gateway's answer
                  has come.</p>`
                : html`<${DecideJoin} item=${item} onDone=${onDone} />`
        }
    </article>`;
}

function Table({ name, items, heads, row }) {
    return html`<table role="table" class="stack joins" aria-label=${name}>
        <thead role="rowgroup"><tr role="row">${heads.map(
            (head) => html`<th role="columnheader" scope="col" key=${head}>${head}</th>`,
        )}</tr></thead>
        <tbody role="rowgroup">${items.map(row)}</tbody></table>`;
}

function Decided({ items, all, tz, onDone }) {
    const newest = new Map();
    for (const { device, site, state, id } of all) {
        if (state !== 'superseded' && state !== 'unproved') {
            newest.set(`${device} ${site}`, Math.max(newest.get(`${device} ${site}`) ?? 0, Number(id)));
        }
    }
    const row = (item) => html`<tr role="row" key=${item.id} data-join=${item.id}>
        <td role="cell" data-label="Node" class="mac">${visible(item.device ?? '')}</td>
        <td role="cell" data-label="Site"><${Outside} text=${item.site ?? '–'} /></td>
        <td role="cell" data-label="Received" class="nowrap"><${At} at_s=${item.received} tz=${tz} /></td>
        <td role="cell" data-label="State"><${Badge} item=${item} /></td>
        <td role="cell" data-label="Decision" class=${item.decided_by ? 'wide' : 'none'}>
            <${Decision} item=${item} done="Admitted" tz=${tz} />
            ${
                item.state === 'refused' &&
                newest.get(`${item.device} ${item.site}`) === Number(item.id) &&
                html`<${DecideJoin} item=${item} onDone=${onDone} />`
            }</td></tr>`;
    return html`<details class="more-asks" id="joins-decided"><summary>Decided: ${formatCount(items.length)}</summary>
        <${Table} name="Nodes that wanted to join" items=${items} row=${row}
            heads=${['Node', 'Site', 'Received', 'State', 'Decision']} /></details>`;
}

function Unproved({ items, dropped, tz }) {
    const row = (item) => html`<tr role="row" key=${item.id} data-join=${item.id}>
        <td role="cell" data-label="Said to be" class="mac">${visible(item.device ?? '')}</td>
        <td role="cell" data-label="Site"><${Outside} text=${item.site ?? '–'} /></td>
        <td role="cell" data-label="Received" class="nowrap"><${At} at_s=${item.received} tz=${tz} /></td>
        <td role="cell" data-label="Why not">${
            item.has_key ? 'the proof does not fit the key that HQ has' : 'HQ has no key of this device'
        }</td></tr>`;
    return html`<details class="more-asks" id="joins-unproved">
        <summary>Without a proof: ${formatCount(items.length)}</summary>
        <p class="muted">Anybody in radio range can send these, in any device's name. If one of them is yours, import its key:
            HQ then looks at it again.</p>
        ${dropped.map(
            ({ site, asks }) => html`<p key=${site} class="muted">Site <${Outside} text=${site ?? ''} />:${' '}
            ${formatCount(asks)} older ones were dropped.</p>`,
        )}
        <${Table} name="Asks without a proof" items=${items} row=${row}
            heads=${['Said to be', 'Site', 'Received', 'Why not']} /></details>`;
}

const listOf = (value) => (Array.isArray(value) ? value : []);

export function Joins({ tz, revision }) {
    const [again, setAgain] = useState(0);
    const { value, error } = useResource(
        async (signal) => {
            const answer = await get('joins', { state: 'all', limit: 1000 }, signal, true);
            return {
                items: listOf(answer?.joins),
                rules: listOf(answer?.auto_join),
                dropped: listOf(answer?.dropped),
            };
        },
        'joins',
        [revision, again],
    );
    const items = value?.items ?? [];
    const waiting = items.filter(({ state }) => state === 'waiting');
    const unproved = items.filter(({ state }) => state === 'unproved');
    const decided = items.filter(({ state }) => state !== 'waiting' && state !== 'unproved');
    const onDone = () => setAgain(again + 1);
    return html`<section class="panel" aria-labelledby="joins-title">
        <div class="panel-head"><h2 id="joins-title">Nodes that want to join</h2>
            ${
                value?.rules.length > 0 &&
                html`<p class="muted">HQ admits by itself what has proved its key at${' '}
                ${value.rules.map((site, index) => html`${index > 0 && ', '}<${Outside} text=${site} />`)}.</p>`
            }</div>
        ${value === null && html`<div class="padded"><${Loading} error=${error} /></div>`}
        ${value !== null && error && html`<p class="padded warn-text">These are the last known ones: ${visible(error.message)}.</p>`}
        ${value !== null && waiting.length === 0 && html`<p class="empty">None.</p>`}
        ${waiting.map((item) => html`<${Waiting} key=${item.id} item=${item} tz=${tz} onDone=${onDone} />`)}
        ${decided.length > 0 && html`<${Decided} items=${decided} all=${items} tz=${tz} onDone=${onDone} />`}
        ${unproved.length > 0 && html`<${Unproved} items=${unproved} dropped=${value.dropped} tz=${tz} />`}
    </section>`;
}
