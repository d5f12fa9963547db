// SPDX-License-Identifier: Apache-2.0
// Orders that were made: the list with the states of their commands, and one order with each command's answer.

import { html, useEffect, useRef, useState } from './vendor/htm-preact.module.js';
import { get, getList } from './api.js';
import { formatCount, toInteger, visible, words } from './format.js';
import { Confirm, Problem, useChange } from './forms.js';
import { argumentsText, kindTitle } from './kinds.js';
import { isoTime, Outside } from './parts.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';
import { useSession } from './session.js';
import { formatDateTime } from './tz.js';

/** In the order in which a command goes through them: [name, tone, what it means]. */
const STATES = [
    ['queued', 'neutral', 'waits at HQ for the next session of its gateway'],
    ['sent', 'sent', 'lies at the broker for the gateway'],
    ['accepted', 'accepted', 'the node has taken it, the answer is on its way'],
    ['trying', 'accepted', 'the node tries it, a second answer follows'],
    ['done', 'good', 'carried out'],
    ['refused', 'bad', 'the node did not do it; its answer says why'],
    ['failed', 'bad', 'the node tried and could not do it'],
    ['expired', 'warn', 'its time was over before the node took it, or its answer is lost'],
    ['withdrawn', 'neutral', 'taken back before it was sent'],
];
const STATE_OF = new Map(STATES.map(([name, tone, meaning]) => [name, { tone, meaning }]));

/** What a node answers, by the name of the status. */
const ANSWERS = {
    done: 'done',
    expired: 'came too late: the node judged it expired',
    bad_channel: 'there is no meter on this channel',
    bad_body: 'values out of range for this node',
    unsupported: 'this node cannot do it',
    state: 'not possible in the state it is in (a postpaid meter, or no code asked for)',
    already: 'was applied before, by the other way',
    overflow: 'the balance would be impossible',
    failed: 'tried and did not work; what was before is used again',
    trying: 'being tried, a second answer follows',
    too_old: 'too far back to know: sell again',
};

export function answerText(status) {
    return Object.hasOwn(ANSWERS, status ?? '') ? ANSWERS[status] : words(status ?? '');
}

function countsOf(states) {
    const entries = Object.entries(states && typeof states === 'object' ? states : {})
        .map(([name, count]) => [name, Number(toInteger(count) ?? 0n)])
        .filter(([, count]) => count > 0);
    const place = ([name]) => {
        const index = STATES.findIndex(([known]) => known === name);
        return index < 0 ? STATES.length : index;
    };
    return entries.sort((left, right) => place(left) - place(right));
}

export function State({ state }) {
    const known = STATE_OF.get(state);
    return html`<span class=${`badge ${known?.tone ?? 'neutral'}`} title=${known?.meaning}>${words(state ?? '')}
        </span>`;
}

/** How far an order's commands are, as a bar and in words. */
export function Progress({ states }) {
    const counts = countsOf(states);
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    let from = 0;
    return html`<div class="progress"><svg class="states" viewBox="0 0 100 6" preserveAspectRatio="none"
            aria-hidden="true"><rect class="bar-empty" width="100" height="6" />${counts.map(([name, count]) => {
                const x = from;
                from += (count / total) * 100;
                return html`<rect key=${name} class=${`bar-${STATE_OF.get(name)?.tone ?? 'neutral'}`} x=${x}
                    width=${from - x} height="6" />`;
            })}</svg>
        <p class="progress-text">${
            total === 0
                ? 'no commands'
                : counts.map(
                      ([name, count], index) => html`<span key=${name} class="nowrap"
                    title=${STATE_OF.get(name)?.meaning}>${index > 0 ? ', ' : ''}${formatCount(count)} ${words(name)}
                    </span>`,
                  )
        }</p></div>`;
}

export function isOver(states) {
    return countsOf(states).every(([name]) => ['done', 'refused', 'failed', 'expired', 'withdrawn'].includes(name));
}

export const At = ({ at_s, tz }) =>
    Number(at_s) > 0 ? html`<time datetime=${isoTime(Number(at_s))}>${formatDateTime(tz, Number(at_s))}</time>` : '–';

function Withdraw({ order, onDone }) {
    const { token } = useSession();
    const [asking, setAsking] = useState(false);
    const [result, setResult] = useState('');
    const change = useChange();
    const queued = Number(order.states?.queued ?? 0);
    const withdraw = async () => {
        setAsking(false);
        const done = await change.send(`orders/${order.id}/withdraw`, {});
        if (done) {
            const count = Number(done.answer?.withdrawn ?? 0);
            setResult(
                count === 0
                    ? 'Nothing was withdrawn: every command had been sent.'
                    : `${formatCount(count)} withdrawn. What was sent before cannot be taken back.`,
            );
            onDone();
        }
    };
    return html`<div class="withdraw">
        <p role="status">${result}</p>
        ${
            queued > 0 &&
            token !== null &&
            html`<button type="button" disabled=${change.sending} onClick=${() => setAsking(true)}>
                Withdraw ${formatCount(queued)} not sent yet</button>`
        }
        <${Problem} problem=${change.problem} what="the commands were withdrawn" />
        ${
            asking &&
            html`<${Confirm} title=${`Withdraw order ${order.id}?`} yes="Withdraw" onYes=${withdraw}
            onNo=${() => setAsking(false)}><p>Takes back ${formatCount(queued)} commands that were not sent yet. What is
            on its way to a node cannot be taken back.</p><//>`
        }</div>`;
}

function CommandRow({ command, tz }) {
    const meter = command.meter || (command.channel !== null && command.channel !== undefined ? 'no id' : null);
    const isForMeter = Number.isInteger(command.channel) && command.channel < 8;
    const status = command.status && !(command.status === 'done' && command.state === 'done') ? command.status : null;
    return html`<tr role="row">
        <td role="cell" data-label="For">${
            isForMeter
                ? html`<a href=${linkTo.meter(command.node, command.channel)}><${Outside} text=${meter} /></a>`
                : html`<span>whole node</span>`
        } <span class="mac muted">${visible(command.node ?? '')}</span></td>
        <td role="cell" data-label="State"><${State} state=${command.state} /></td>
        ${[
            ['Sent', command.sent],
            ['Taken', command.accepted],
            ['Ended', command.ended],
        ].map(
            ([name, at_s]) => html`<td role="cell" key=${name} data-label=${name}
                class=${Number(at_s) > 0 ? 'nowrap' : 'none'}>
            <${At} at_s=${at_s} tz=${tz} /></td>`,
        )}
        <td role="cell" data-label="Answer" class=${status || command.detail ? 'wide' : 'none'}>
            ${status && html`<span>${answerText(status)}</span>`}
            ${command.detail && html`<${Detail} detail=${command.detail} />`}
            ${!status && !command.detail && (command.state === 'done' ? 'done' : '–')}</td>
    </tr>`;
}

/** An object of the API as lines "name: value". */
function factsOf(detail, prefix = '') {
    return Object.entries(detail).flatMap(([name, value]) =>
        value !== null && typeof value === 'object' && !Array.isArray(value)
            ? factsOf(value, `${prefix}${name} `)
            : [`${prefix}${name.replaceAll('_', ' ')}: ${Array.isArray(value) ? value.join(' ') : value}`],
    );
}

/** What a node tells: lines of its log, registers, a code. Lines stay lines. */
function Detail({ detail }) {
    const lines = typeof detail === 'object' ? factsOf(detail) : String(detail).split('\n');
    return html`<pre class="answer" tabindex="0" aria-label="What the node tells">${lines.map(
        (line, index) => html`<span key=${index}><${Outside} text=${line} />${'\n'}</span>`,
    )}</pre>`;
}

export function OrderDetail({ id, tz, revision }) {
    const [again, setAgain] = useState(0);
    const heading = useRef(null);
    const { value, error } = useResource((signal) => get(`orders/${id}`, {}, signal, true), id, [revision, again]);
    useEffect(() => heading.current?.focus(), [id]);
    const order = value?.order ?? value;
    const commands = Array.isArray(order?.commands) ? order.commands : [];
    return html`<section class="panel" aria-labelledby="order-title">
        <div class="panel-head"><h2 id="order-title" ref=${heading} tabindex="-1">Order ${id}</h2>
            <a class="back" href=${linkTo.commands()}>All orders</a></div>
        ${value === null && html`<div class="padded"><${Loading} error=${error} /></div>`}
        ${
            value !== null &&
            html`<dl class="registers facts">
                <div><dt>What</dt><dd>${kindTitle(order.kind)}</dd></div>
                <div><dt>For</dt><dd><${Outside} text=${order.target ?? ''} /></dd></div>
                ${
                    argumentsText(order) &&
                    html`<div><dt>With</dt><dd><${Outside} text=${argumentsText(order)} /></dd></div>`
                }
                <div><dt>By</dt><dd><${Outside} text=${order.operator ?? '–'} /></dd></div>
                <div><dt>Ordered</dt><dd><${At} at_s=${order.created} tz=${tz} /></dd></div>
                <div><dt>Expires</dt><dd>${
                    Number(order.not_after) > 0 ? html`<${At} at_s=${order.not_after} tz=${tz} />` : 'never'
                }</dd></div>
                <div><dt>Priority</dt><dd>${formatCount(order.priority)}</dd></div>
            </dl>
            <div class="padded"><div aria-live="polite"><${Progress} states=${order.states} /></div>
                <${Withdraw} order=${order} onDone=${() => setAgain(again + 1)} /></div>
            <div class="padded"><table role="table" class="stack">
                <caption class="hidden">Commands of order ${id}</caption>
                <thead role="rowgroup"><tr role="row">${['For', 'State', 'Sent', 'Taken', 'Ended', 'Answer'].map(
                    (name) => html`<th role="columnheader" scope="col" key=${name}>${name}</th>`,
                )}</tr></thead>
                <tbody role="rowgroup">${commands.map(
                    (command) => html`<${CommandRow} key=${command.id} command=${command} tz=${tz} />`,
                )}</tbody></table></div>`
        }
    </section>`;
}

const LISTED = 100;

export function Orders({ tz, revision }) {
    const { value, error } = useResource((signal) => getList('orders', { limit: LISTED }, signal, true), 'orders', [
        revision,
    ]);
    return html`<section class="panel" aria-labelledby="orders-title">
        <div class="panel-head"><h2 id="orders-title">Orders</h2>
            <p class="muted">Newest first; the list follows by itself.</p></div>
        ${value === null && html`<div class="padded"><${Loading} error=${error} /></div>`}
        ${value?.length === 0 && html`<p class="empty">None yet.</p>`}
        ${
            value?.length > 0 &&
            html`<div class="padded"><table role="table" class="stack orders" aria-labelledby="orders-title">
            <thead role="rowgroup"><tr role="row">${['Order', 'What', 'For', 'By', 'Ordered', 'Progress'].map(
                (name) => html`<th role="columnheader" scope="col" key=${name}>${name}</th>`,
            )}</tr></thead>
            <tbody role="rowgroup">${value.map(
                (order) => html`<tr role="row" key=${order.id} data-order=${order.id}>
                <td role="cell" data-label="Order"><a href=${linkTo.order(order.id)}
                    aria-label=${`Order ${order.id}`}>${formatCount(order.id)}</a></td>
                <td role="cell" data-label="What">${kindTitle(order.kind)}
                    ${
                        argumentsText(order) &&
                        html` <span class="muted"><${Outside} text=${argumentsText(order)} /></span>`
                    }</td>
                <td role="cell" data-label="For"><${Outside} text=${order.target ?? ''} /></td>
                <td role="cell" data-label="By"><${Outside} text=${order.operator ?? '–'} /></td>
                <td role="cell" data-label="Ordered" class="nowrap"><${At} at_s=${order.created} tz=${tz} /></td>
                <td role="cell" data-label="Progress" class="wide"><${Progress} states=${order.states} /></td></tr>`,
            )}</tbody></table></div>`
        }
    </section>`;
}
