// SPDX-License-Identifier: Apache-2.0
// The books: per meter what was issued, where it is, and whether that agrees.

import { html } from './vendor/htm-preact.module.js';
import { get } from './api.js';
import { formatCount, formatKwh, toInteger, visible } from './format.js';
import { Outside } from './parts.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';

/** name in the API, heading, title */
const COLUMNS = [
    ['issued_wh', 'Issued', 'Sold: every purchase of the meter'],
    ['applied_wh', 'Applied', 'Of purchases, as the meter has said'],
    ['pending_wh', 'Pending', 'Sold, and the meter has not said yet that it has it; or being voided'],
    ['void_wh', 'Void', 'Taken back, confirmed by the meter'],
    ['lost_wh', 'Lost', 'The meter lost its memory before it had it'],
    ['other_wh', 'Other', 'Movements without a purchase: corrections, tokens that set the balance'],
    ['consumed_wh', 'Consumed', 'By its registers, since prepayment began'],
    ['balance_wh', 'Balance', 'As the meter last said'],
    ['sold_difference_wh', 'Sold diff.', 'Issued less applied, pending, void and lost: zero if the books agree'],
    ['used_difference_wh', 'Used diff.', 'Applied and other, less consumed and balance: zero if the books agree'],
];
const wh = (line, name) => toInteger(line[name]) ?? 0n;
const nameOf = (line) => visible(line.meter || `${line.node}/${Number(line.channel) + 1}`);
const kwh = (value_wh) => `${formatKwh(value_wh < 0n ? -value_wh : value_wh)} kWh`;

/** What does not agree, a sentence each; and what need not agree yet. */
export function findings(books) {
    const wrong = [];
    const waiting = [];
    for (const line of books.meters) {
        const sold = wh(line, 'sold_difference_wh');
        const used = wh(line, 'used_difference_wh');
        if (sold !== 0n) {
            wrong.push(
                sold > 0n
                    ? `${nameOf(line)}: ${kwh(sold)} were issued that are neither applied, pending, void nor lost. ` +
                          'A customer has paid for energy that cannot be found.'
                    : `${nameOf(line)}: ${kwh(sold)} more are applied, pending, void or lost than were issued. ` +
                          'Something was counted twice.',
            );
        }
        if (used !== 0n && line.settled) {
            wrong.push(
                used > 0n
                    ? `${nameOf(line)}: ${kwh(used)} of credit are neither consumed nor in its balance. ` +
                          'The meter gave less energy than was applied.'
                    : `${nameOf(line)}: ${kwh(used)} more are consumed and in its balance than were applied. ` +
                          'The meter gave energy without credit.',
            );
        } else if (used !== 0n) {
            waiting.push(nameOf(line));
        }
    }
    for (const { unit, debits, credits, sums_agree } of books.ledger ?? []) {
        if ((toInteger(debits) ?? 0n) !== (toInteger(credits) ?? 0n)) {
            wrong.push(
                `The ledger in ${visible(unit)}: debits are ${formatCount(debits)}, credits ${formatCount(credits)}. ` +
                    'Every entry has both sides, so one was damaged.',
            );
        }
        if (sums_agree === false) {
            wrong.push(`The ledger in ${visible(unit)}: the balances that are kept are not the sums of the entries.`);
        }
    }
    return { wrong, waiting };
}

/** Credit whose meter is no longer on its channel. */
function Swaps({ swaps }) {
    if (!Array.isArray(swaps) || swaps.length === 0) {
        return null;
    }
    return html`<div class="verdict bad" role="status">
        <p><strong>Credit whose meter has left its channel.</strong> Nothing is sold to these channels until it is
            decided: <code>meshmeter books transfer N</code> if the meter that is there now replaces the other one,
            <code>meshmeter books withdraw N</code> if the credit is not for it.</p>
        <ul>${swaps.map(
            (swap) => html`<li key=${swap.id}>${formatCount(swap.id)}: <${Outside} text=${swap.after || 'no meter'} /> is
            where <${Outside} text=${swap.before} /> was: balance ${formatKwh(wh(swap, 'balance_wh'))} kWh, sold and not
            taken ${formatKwh(wh(swap, 'pending_wh'))} kWh</li>`,
        )}</ul></div>`;
}

function Verdict({ books }) {
    const { wrong, waiting } = findings(books);
    const isGood = books.balanced === true && wrong.length === 0;
    const later =
        waiting.length > 0 &&
        html`<p class="muted">${`${waiting.length === 1 ? 'A report is' : 'Reports are'} still on the way for `}
            ${waiting.join(', ')}: what was used and what was applied may differ until then.</p>`;
    return html`<div class=${`verdict ${isGood ? 'good' : 'bad'}`} role="status">
        <p><strong>${isGood ? 'The books balance.' : 'The books do not balance.'}</strong> ${
            isGood
                ? `All that was issued is applied, pending, void or lost;
                  and all that was applied is consumed or in a balance.`
                : ''
        }</p>
        ${!isGood && wrong.length === 0 && html`<p>HQ says so, but shows no difference. See its log.</p>`}
        ${wrong.length > 0 && html`<ul>${wrong.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`}
        ${later}</div>`;
}

function Cell({ line, column: [name, heading] }) {
    const value = wh(line, name);
    const isDifference = name.endsWith('_difference_wh');
    const settled = line.settled || name !== 'used_difference_wh';
    const tone = isDifference && value !== 0n ? (settled ? 'difference' : 'unsettled') : value === 0n ? 'zero' : '';
    return html`<td role="cell" data-label=${heading} class=${`num ${tone}`}>${formatKwh(value)}${
        tone === 'unsettled' && html` <span class="badge warn" title="A report is on the way">not settled</span>`
    }</td>`;
}

export function Books({ revision }) {
    const { value, error } = useResource(
        async (signal) => {
            const books = await get('books', {}, signal, true);
            return { ...books, meters: Array.isArray(books?.meters) ? books.meters : [] };
        },
        'books',
        [Math.floor(revision / 2)],
    );
    if (value === null) {
        return html`<section class="panel"><div class="panel-head"><h2>Books</h2></div>
            <div class="padded"><${Loading} error=${error} /></div></section>`;
    }
    const total = Object.fromEntries(
        COLUMNS.map(([name]) => [name, value.meters.reduce((sum, line) => sum + wh(line, name), 0n)]),
    );
    total.settled = value.meters.every((line) => line.settled || wh(line, 'used_difference_wh') === 0n);
    const row = (line) => COLUMNS.map((column) => html`<${Cell} key=${column[0]} line=${line} column=${column} />`);
    return html`<section class="panel" aria-labelledby="books-title">
        <div class="panel-head"><h2 id="books-title">Books</h2><p class="muted">In kWh, by prepaid meter.</p></div>
        ${error && html`<p class="padded warn-text">These are the last known ones: ${visible(error.message)}.</p>`}
        <div class="padded"><${Verdict} books=${value} /><${Swaps} swaps=${value.swaps} /></div>
        ${
            value.meters.length === 0
                ? html`<p class="empty">No meter has to do with credit yet.</p>`
                : html`<div class="padded"><table role="table" class="stack books" aria-labelledby="books-title">
            <thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Meter</th>${COLUMNS.map(
                ([name, heading, title]) => html`<th role="columnheader" scope="col" class="num" key=${name}
                title=${title}>
                ${heading}</th>`,
            )}</tr></thead>
            <tbody role="rowgroup">${value.meters.map(
                (line) => html`<tr role="row" key=${`${line.node}/${line.channel}`}>
                <th role="rowheader" scope="row" data-label="Meter"><a href=${linkTo.meter(line.node, line.channel)}>
                    <${Outside} text=${line.meter || `${line.node}/${Number(line.channel) + 1}`} /></a></th>
                ${row(line)}</tr>`,
            )}</tbody>
            <tfoot role="rowgroup"><tr role="row"><th role="rowheader" scope="row" data-label="Meter">
                All ${formatCount(value.meters.length)}</th>${row(total)}
            </tr></tfoot></table></div>`
        }
        ${
            value.ledger?.length > 0 &&
            html`<div class="padded"><h3>Ledger</h3><table class="plain ledger"><thead><tr><th scope="col">Unit</th>
            <th scope="col" class="num">Debits</th><th scope="col" class="num">Credits</th></tr></thead>
            <tbody>${value.ledger.map(
                ({ unit, debits, credits }) => html`<tr key=${unit}><td><${Outside} text=${unit} />
                    ${unit !== 'Wh' && html` <span class="muted">1/1000 of its minor unit</span>`}</td>
                <td class="num">${formatCount(debits)}</td><td class="num">${formatCount(credits)}</td></tr>`,
            )}</tbody></table></div>`
        }
    </section>`;
}
