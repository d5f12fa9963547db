// SPDX-License-Identifier: Apache-2.0
// What was sold: the list of purchases, and one as a receipt with its token, to read out or to print.

import { html, useEffect, useRef, useState } from './vendor/htm-preact.module.js';
import { decimalsOf, formatMoney, formatShortKwh, groupToken } from './amounts.js';
import { get, getList } from './api.js';
import { formatCount, toInteger, visible, words } from './format.js';
import { Confirm, Problem, useChange } from './forms.js';
import { At } from './orders.js';
import { Outside } from './parts.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';

/** State of a purchase: [tone, what it means]. */
const STATES = {
    issued: ['sent', 'sold; the meter has not said yet that it has it'],
    applied: ['good', 'the meter has it'],
    voiding: ['warn', 'void as soon as the meter confirms it; until then the token still works'],
    void: ['neutral', 'the meter has confirmed that the token gives nothing'],
    lost: ['bad', 'the meter has lost its memory and can take it no more: sell it again'],
};
const WAYS = {
    network: 'by network',
    command: 'by network',
    token: 'by the typed token',
    token_add: 'by the typed token',
    'new era': 'it began anew',
    'passed over': 'it went on to later ones',
};

/** The last sale of this page, so that its receipt can say whether HQ had it already. */
let lastSale = null;
export function rememberSale(id, repeated) {
    lastSale = { id: String(id), repeated };
}

/** How it ended: the way by which it was applied, or why it was lost. */
function wayOf(purchase) {
    return purchase.by ? (Object.hasOwn(WAYS, purchase.by) ? WAYS[purchase.by] : `by ${words(purchase.by)}`) : '';
}

function SaleState({ purchase }) {
    const [tone, meaning] = Object.hasOwn(STATES, purchase.state ?? '') ? STATES[purchase.state] : ['neutral', ''];
    return html`<span class=${`badge ${tone}`} title=${meaning}>${words(purchase.state ?? '')}</span>${
        ['applied', 'lost'].includes(purchase.state) && html` <span class="muted nowrap">${wayOf(purchase)}</span>`
    }`;
}

const money = (purchase, value) => formatMoney(value, purchase.decimals, purchase.currency);
const hasMoney = (purchase) => (toInteger(purchase.money_minor) ?? 0n) !== 0n;
const meterOf = (purchase) => purchase.meter || `${purchase.node}/${Number(purchase.channel) + 1}`;

/** 1/1000 of a minor unit is kept exactly, and shown as such. */
function remainderText(purchase) {
    return formatMoney(purchase.remainder_milli, decimalsOf(purchase.decimals) + 3, purchase.currency);
}

export function Token({ token, className }) {
    return html`<span class=${`token ${className}`} translate="no">${groupToken(token).map(
        (group, index) => html`<span key=${index}>${group}</span> `,
    )}</span>`;
}

function Void({ purchase, onDone }) {
    const [asking, setAsking] = useState(false);
    const { sending, problem, send } = useChange();
    const what = `${formatShortKwh(purchase.energy_wh)} kWh for ${visible(meterOf(purchase))}`;
    const post = async () => {
        setAsking(false);
        if (await send(`purchases/${purchase.id}/void`, {})) {
            onDone();
        }
    };
    if (purchase.state !== 'issued' && problem === null) {
        return null;
    }
    return html`<span class="void">
        ${
            purchase.state === 'issued' &&
            html`<button type="button" disabled=${sending} aria-label=${`Void sale ${purchase.id}: ${what}`}
                onClick=${() => setAsking(true)}>Void</button>`
        }
        <${Problem} problem=${problem} what="the sale is being voided" />
        ${
            asking &&
            html`<${Confirm} title=${`Void sale ${purchase.id}: ${what}?`} yes=${`Void the sale to ${visible(
                meterOf(purchase),
            )}`}
            onYes=${post} onNo=${() => setAsking(false)}><p>It is void only when the meter confirms that the token
            gives nothing any more. If the customer types it before, the sale stays.</p><//>`
        }</span>`;
}

function Row({ purchase, tz, onDone }) {
    return html`<tr role="row" data-sale=${purchase.id}>
        <td role="cell" data-label="Sale"><a href=${linkTo.sale(purchase.id)}
            aria-label=${`Receipt of sale ${purchase.id}`}>
            ${formatCount(purchase.id)}</a></td>
        <td role="cell" data-label="Sold" class="nowrap"><${At} at_s=${purchase.created} tz=${tz} /></td>
        <td role="cell" data-label="Meter"><${Outside} text=${meterOf(purchase)} /></td>
        <td role="cell" data-label="kWh" class="num">${formatShortKwh(purchase.energy_wh)}</td>
        <td role="cell" data-label="Paid" class="num nowrap">${
            hasMoney(purchase) ? money(purchase, purchase.money_minor) : '–'
        }</td>
        <td role="cell" data-label="State"><${SaleState} purchase=${purchase} /></td>
        <td role="cell" data-label="By"><${Outside} text=${purchase.operator ?? '–'} /></td>
        <td role="cell" data-label="Void" class="act"><${Void} purchase=${purchase} onDone=${onDone} /></td></tr>`;
}

const LISTED = 100;

export function Sales({ tz, revision }) {
    const [again, setAgain] = useState(0);
    const { value, error } = useResource(
        (signal) => getList('purchases', { limit: LISTED }, signal, true),
        'purchases',
        [revision, again],
    );
    return html`<section class="panel" aria-labelledby="sales-title">
        <div class="panel-head"><h2 id="sales-title">Sales</h2>
            <p class="muted">Newest first; the list follows by itself.</p></div>
        ${value === null && html`<div class="padded"><${Loading} error=${error} /></div>`}
        ${value?.length === 0 && html`<p class="empty">Nothing has been sold yet.</p>`}
        ${
            value?.length > 0 &&
            html`<div class="padded"><table role="table" class="stack sales" aria-labelledby="sales-title">
            <thead role="rowgroup"><tr role="row">${['Sale', 'Sold', 'Meter', 'kWh', 'Paid', 'State', 'By'].map(
                (name) => html`<th role="columnheader" scope="col" key=${name}
                class=${['kWh', 'Paid'].includes(name) ? 'num' : ''}>
                ${name}</th>`,
            )}<th role="columnheader" scope="col"><span class="hidden">Void</span></th></tr></thead>
            <tbody role="rowgroup">${value.map(
                (purchase) => html`<${Row} key=${purchase.id} purchase=${purchase} tz=${tz}
                onDone=${() => setAgain(again + 1)} />`,
            )}</tbody></table></div>`
        }
    </section>`;
}

function Facts({ purchase, tz }) {
    return html`<dl class="receipt-facts">
        <div><dt>Energy</dt><dd>${formatShortKwh(purchase.energy_wh)} kWh</dd></div>
        <div><dt>Meter</dt><dd><${Outside} text=${meterOf(purchase)} /></dd></div>
        ${
            hasMoney(purchase) &&
            html`<div><dt>Paid</dt><dd>${money(purchase, purchase.money_minor)}</dd></div>
            <div><dt>Tax in it</dt><dd>${money(purchase, purchase.tax_minor)}</dd></div>
            ${
                (toInteger(purchase.remainder_milli) ?? 0n) !== 0n &&
                html`<div><dt>Kept for the next sale</dt><dd>${remainderText(purchase)}</dd></div>`
            }`
        }
        <div><dt>Sale</dt><dd>${formatCount(purchase.id)}</dd></div>
        <div><dt>Sold</dt><dd><${At} at_s=${purchase.created} tz=${tz} /></dd></div>
        <div><dt>By</dt><dd><${Outside} text=${purchase.operator ?? '–'} /></dd></div>
        <div><dt>Site</dt><dd><${Outside} text=${purchase.site ?? '–'} /></dd></div>
    </dl>`;
}

export function Receipt({ id, tz, revision }) {
    const [again, setAgain] = useState(0);
    const heading = useRef(null);
    const { value, error } = useResource((signal) => get(`purchases/${id}`, {}, signal, true), id, [revision, again]);
    const purchase = value?.purchase ?? value;
    useEffect(() => heading.current?.focus(), [id, purchase === null]);
    if (purchase === null) {
        return html`<section class="panel"><div class="panel-head"><h2>Sale ${id}</h2>
            <a class="back" href=${linkTo.sell()}>All sales</a></div>
            <div class="padded"><${Loading} error=${error} /></div></section>`;
    }
    const isRepeated = lastSale?.id === id && lastSale.repeated;
    return html`<section class="panel">
        <div class="panel-head"><p role="status">${
            isRepeated
                ? html`<strong class="warn-text">Already sold:</strong> HQ had this form. It was sold once, and nothing
                was sold twice.`
                : lastSale?.id === id
                  ? html`<strong class="success">Sold.</strong>`
                  : ''
        }</p><a class="back" href=${linkTo.sell()}>All sales</a></div>
        <article class="receipt" aria-labelledby="receipt-title">
            <h2 id="receipt-title" ref=${heading} tabindex="-1">${formatShortKwh(
                purchase.energy_wh,
            )} kWh for <${Outside} text=${meterOf(purchase)} /></h2>
            ${
                purchase.token &&
                html`<h3>Token</h3><p class="token-line"><${Token} token=${purchase.token} className="large" /></p>
                <p class="muted">Type it at the meter, blanks do not matter. It works once, also without network. If the
                    network is there the meter takes the credit by itself, and then too it counts once.</p>`
            }
            ${
                purchase.token_restricted &&
                html`<h3>For keypads with the keys 1 to 4</h3>
                <p class="token-line"><${Token} token=${purchase.token_restricted} className="restricted" /></p>`
            }
            <${Facts} purchase=${purchase} tz=${tz} />
        </article>
        <div class="padded buttons-row">
            <p aria-live="polite"><${SaleState} purchase=${purchase} /> <span class="muted">${
                Object.hasOwn(STATES, purchase.state ?? '') ? `${STATES[purchase.state][1]}.` : ''
            }</span></p>
            <div class="buttons"><button type="button" onClick=${() => window.print()}>Print</button>
                <${Void} purchase=${purchase} onDone=${() => setAgain(again + 1)} />
                <a class="button" href=${linkTo.sell()}>Next sale</a></div>
        </div></section>`;
}
