// SPDX-License-Identifier: Apache-2.0
// What installers have set up: those that wait for a word from HQ first, then what was decided.

import { html, useEffect, useState } from './vendor/htm-preact.module.js';
import { get } from './api.js';
import { formatCount, formatKwh, visible, words } from './format.js';
import { Confirm, Problem, TextField, useChange } from './forms.js';
import { answerText, At, State } from './orders.js';
import { isoTime, Outside } from './parts.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';
import { newRequestId } from './session.js';

const STATES = {
    waiting: ['warn', 'the node waits for HQ; its supply is not commissioned'],
    confirmed: ['good', 'the node has answered and runs'],
    refused: ['bad', 'the node was not told; it goes on waiting'],
    superseded: ['neutral', 'a newer installation of this node has come'],
};
const OPEN = ['queued', 'sent', 'accepted', 'trying'];
const REASON_BYTES_MAX = 200;

const isOnItsWay = ({ state, command }) => state === 'waiting' && OPEN.includes(command?.state);
const nodeName = (item) => `node ${visible(item.node)}`;

function Badge({ item }) {
    const [tone, meaning] = Object.hasOwn(STATES, item.state ?? '') ? STATES[item.state] : ['neutral', ''];
    return html`<span class=${`badge ${tone}`} title=${meaning}>${words(item.state ?? '')}</span>`;
}

function placeText(item) {
    return [
        `number ${formatCount(item.node_no)}`,
        `province ${formatCount(item.province)}`,
        `canton ${formatCount(item.canton)}`,
        `parish ${formatCount(item.parish)}`,
        `postal code ${String(item.postal_code ?? '–')}`,
    ].join(', ');
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

/** Confirm and refuse, each after a question. A request id lasts until HQ has answered it. */
function Decide({ item, onDone }) {
    const [asking, setAsking] = useState('');
    const [reason, setReason] = useState('');
    const [reasonError, setReasonError] = useState(null);
    const [request, setRequest] = useState(newRequestId);
    const { sending, problem, send } = useChange();
    const act = async (what, more) => {
        setAsking('');
        if (await send(`installations/${item.id}/${what}`, { request, ...more })) {
            setRequest(newRequestId());
            onDone();
        }
    };
    useEffect(() => {
        if (problem && !problem.isOpen) {
            setRequest(newRequestId());
        }
    }, [problem]);
    const refuse = () => {
        const text = reason.trim();
        if (text === '' || new TextEncoder().encode(text).length > REASON_BYTES_MAX) {
            setReasonError('Say why: whoever looks at it next needs it.');
            return;
        }
        act('refuse', { reason: text });
    };
    const conflicts = conflictsOf(item);
    const confirmText = item.state === 'refused' ? 'Confirm after all' : 'Confirm';
    return html`<div class="decide">
        ${
            item.has_key === false &&
            html`<p class="warn-text">HQ has no key of this node, so it cannot be confirmed: import its key first.</p>`
        }
        <div class="buttons">
            <button type="button" class="primary" disabled=${sending || item.has_key === false}
                aria-label=${`${confirmText}: ${nodeName(item)}`} onClick=${() => setAsking('confirm')}>${confirmText}
            </button>
            ${
                item.state === 'waiting' &&
                html`<button type="button" disabled=${sending} aria-label=${`Refuse: ${nodeName(item)}`}
                onClick=${() => setAsking('refuse')}>Refuse</button>`
            }
        </div>
        <${Problem} problem=${problem} what="it was decided" />
        ${
            asking === 'confirm' &&
            html`<${Confirm} title=${`Confirm ${nodeName(item)}?`} yes="Confirm" onYes=${() => act('confirm', {})}
                onNo=${() => setAsking('')}>
                <p>The node runs with ${formatCount(item.meters?.length ?? 0)} meters as set up by${' '}
                    <${Outside} text=${item.installer ?? ''} />, as soon as the command has reached it.</p>
                ${
                    conflicts.length > 0 &&
                    html`<p><strong>Is this right?</strong> ${conflicts
                        .map((meter) => conflictText(item, meter))
                        .join(' ')} Two devices would report under one name.</p>`
                }<//>`
        }
        ${
            asking === 'refuse' &&
            html`<${Confirm} title=${`Refuse ${nodeName(item)}?`} yes="Refuse" onYes=${refuse}
                onNo=${() => setAsking('')}>
                <p>The node is not told: it goes on waiting, until an installer sets it up again or it is confirmed after
                    all.</p>
                <${TextField} id="refuse-reason" label="Why" value=${reason} error=${reasonError} maxlength="200"
                    onInput=${setReason} /><//>`
        }
    </div>`;
}

/** Who decided, and how far the confirmation is. */
function Decision({ item, tz }) {
    if (!item.decided_by) {
        return null;
    }
    const isRefusal = item.state === 'refused';
    return html`<p class="decision">${isRefusal ? 'Refused' : 'Confirmed'} by <${Outside} text=${item.decided_by} />,${' '}
        <${At} at_s=${item.decided} tz=${tz} />${
            isRefusal
                ? html`: <${Outside} text=${item.reason ?? ''} />`
                : item.command &&
                  html`. <a href=${linkTo.order(item.command.order)}>Order ${formatCount(item.command.order)}</a>${' '}
                  <${State} state=${item.command.state} />${
                      item.command.status &&
                      item.command.status !== 'done' &&
                      html` <span class="muted">${answerText(item.command.status)}</span>`
                  }`
        }</p>`;
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
        <${Decision} item=${item} tz=${tz} />
        ${
            isOnItsWay(item)
                ? html`<p role="status" class="muted">On its way to the node; it is confirmed when the node's answer has
                  come.</p>`
                : html`<${Decide} item=${item} onDone=${onDone} />`
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
            <${Decision} item=${item} tz=${tz} />
            ${item.state === 'refused' && isNewest && html`<${Decide} item=${item} onDone=${onDone} />`}</td></tr>`;
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
    return html`<section class="panel" aria-labelledby="waiting-title">
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
