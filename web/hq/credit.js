// SPDX-License-Identifier: Apache-2.0
// A meter's credit and relay: marks for its card, and what an operator can do in its view.

import { html, useRef, useState } from './vendor/htm-preact.module.js';
import { get, getList } from './api.js';
import { formatKwh, visible, words } from './format.js';
import { Confirm, Problem, useChange } from './forms.js';
import { KINDS } from './kinds.js';
import { isOver, Progress } from './orders.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';
import { newRequestId, useSession } from './session.js';
import { meterName } from './targets.js';

const REASONS = {
    locked: 'locked by HQ',
    no_credit: 'no credit',
    tamper: 'tampering was noticed',
    not_commissioned: 'not commissioned yet',
};

export function relayText(meter) {
    const reasons = Array.isArray(meter.relay_reasons) ? meter.relay_reasons : [];
    return reasons.map((reason) => (Object.hasOwn(REASONS, reason) ? REASONS[reason] : words(reason))).join(', ');
}

const isOff = (meter) => meter.relay_closed === false;
const hasRelay = (meter) => typeof meter.relay_closed === 'boolean';

/** For the card: balance, low credit, supply off; nothing for a meter that has to do with none of them. */
export function CreditLine({ meter }) {
    return html`${
        meter.prepaid === true &&
        html`<span class=${`card-line credit ${meter.credit_low ? 'low' : ''}`}><span class="label">credit</span>
            <span><span class="number">${formatKwh(meter.balance_wh)}</span><span class="unit"> kWh</span></span>
            </span>`
    }
    ${
        (isOff(meter) || (meter.prepaid === true && meter.credit_low)) &&
        html`<span class="card-line marks">${
            isOff(meter)
                ? html`<span class="badge bad">off: ${relayText(meter) || 'no reason told'}</span>`
                : html`<span class="badge warn">low credit</span>`
        }</span>`
    }`;
}

/** For the registers of the detail. */
export function CreditRegisters({ meter }) {
    if (meter.prepaid !== true && !hasRelay(meter)) {
        return null;
    }
    return html`${
        meter.prepaid === true &&
        html`<div title="As its node has reported last"><dt>Credit</dt><dd>
        <span class="number">${formatKwh(meter.balance_wh)}</span><span class="unit"> kWh</span>
        ${meter.credit_low && html` <span class="badge warn">low</span>`}
        ${meter.emergency_taken && html` <span class="badge warn"
            title="The next sale repays it">emergency credit taken</span>`}</dd></div>`
    }
    ${
        hasRelay(meter) &&
        html`<div><dt>Supply</dt><dd class="supply">${
            isOff(meter)
                ? html`<span class="badge bad">off</span> <span class="why">${
                      relayText(meter) || 'no reason told'
                  }</span>`
                : html`<span class="badge good">on</span>`
        }</dd></div>`
    }`;
}

function Followed({ id, revision }) {
    const [over, setOver] = useState(false);
    const { value } = useResource(
        async (signal) => {
            const answer = await get(`orders/${id}`, {}, signal, true);
            const order = answer?.order ?? answer;
            setOver(isOver(order.states));
            return order;
        },
        id,
        [over ? 'over' : revision],
    );
    return html`<div role="status" class="followed"><p>Ordered: <a href=${linkTo.order(id)}>order ${visible(id)}</a></p>
        ${value && html`<${Progress} states=${value.states} />`}</div>`;
}

/** What an operator can do here. */
export function Actions({ meter, revision }) {
    const { token } = useSession();
    const [asked, setAsked] = useState(null); // {kind, request}
    const [order, setOrder] = useState(null);
    const failed = useRef(null); // an order whose answer has not come keeps its number
    const { sending, problem, send } = useChange();
    if (token === null || meter.legacy || !meter.id) {
        return null;
    }
    const name = visible(meter.id);
    const ask = (kind) => setAsked(failed.current?.kind === kind ? failed.current : { kind, request: newRequestId() });
    const post = async () => {
        const { kind, request } = asked;
        setAsked(null);
        failed.current = { kind, request };
        let target;
        try {
            target = meterName(meter, await getList('meters'));
        } catch {
            target = `${meter.node}/${meter.channel + 1}`;
        }
        const body = { request, target, kind, arguments: {}, priority: 7, expires_s: 86400 };
        const done = await send('orders', body);
        if (done) {
            failed.current = null;
            setOrder((done.answer?.order ?? done.answer).id);
        }
    };
    const isLocked = (meter.relay_reasons ?? []).includes('locked');
    return html`<div class="actions padded" aria-label="What can be done" role="group">
        <div class="buttons">
            <button type="button" disabled=${sending} onClick=${() => ask('lock')}>Lock${
                isLocked ? ' again' : ''
            }</button>
            <button type="button" disabled=${sending} onClick=${() => ask('unlock')}>Unlock</button>
            ${
                meter.prepaid === true &&
                html`<a class="button" href=${linkTo.sellTo(meter.node, meter.channel)}>Sell</a>`
            }
            <a class="button" href=${linkTo.commandsFor(meter.node, meter.channel)}>Other command</a>
        </div>
        <${Problem} problem=${problem} what="it was ordered" />
        ${order !== null && html`<${Followed} key=${order} id=${order} revision=${revision} />`}
        ${
            asked &&
            html`<${Confirm} title=${`${asked.kind === 'lock' ? 'Lock' : 'Unlock'} ${name}?`}
            yes=${`Yes, ${asked.kind} ${name}`} onYes=${post} onNo=${() => setAsked(null)}>
            <p>${KINDS[asked.kind].sentence(`meter ${name}`, {})}</p>
            <p>If its node does not take it within a day, it expires and nothing happens.</p><//>`
        }
    </div>`;
}
