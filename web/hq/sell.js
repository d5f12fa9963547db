// SPDX-License-Identifier: Apache-2.0
// Selling credit to a prepaid meter.

import { html, useEffect, useRef, useState } from './vendor/htm-preact.module.js';
import {
    AMOUNT_WH_MAX,
    decimalsOf,
    formatMoney,
    formatShortKwh,
    MONEY_MINOR_MAX,
    parseDecimal,
    parseKwh,
} from './amounts.js';
import { getList } from './api.js';
import { meterItems, useWorld } from './compose.js';
import { formatCount, formatKwh, visible } from './format.js';
import { Chooser, Problem, SelectField, TextField, useChange, useDraft, useFocusOnError } from './forms.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';
import { rememberSale, Sales } from './sales.js';
import { newRequestId } from './session.js';
import { findMeter, isNamed, meterName } from './targets.js';

const PENDING = 'meshmeter.open-sale';

/** A sale whose answer has not come outlives a reload of the page, with its number. */
function storePending(draft) {
    try {
        if (draft === null) {
            sessionStorage.removeItem(PENDING);
        } else {
            sessionStorage.setItem(PENDING, JSON.stringify(draft));
        }
    } catch {
        // Then it lasts as long as the page.
    }
}

function storedPending() {
    try {
        const draft = JSON.parse(sessionStorage.getItem(PENDING));
        return typeof draft?.request === 'string' && typeof draft.meter === 'string' ? draft : null;
    } catch {
        return null;
    }
}

const emptyDraft = () => ({
    request: newRequestId(),
    meter: '',
    by: 'energy',
    amount: '',
    currency: '',
    isOpen: false, // sent, and what HQ did is not known
    wasOpen: false, // the same, before the page was loaded anew
});

const firstDraft = () => {
    const pending = storedPending();
    return pending ? { ...emptyDraft(), ...pending, isOpen: true, wasOpen: true } : emptyDraft();
};

/** The currencies of the tariffs: what money may be typed in. */
function currenciesOf(tariffs) {
    const found = new Map();
    for (const { currency, decimals } of tariffs ?? []) {
        found.set(`${currency} ${decimalsOf(decimals)}`, { currency, decimals: decimalsOf(decimals) });
    }
    return [...found].map(([key, entry]) => ({ key, ...entry }));
}

function judge(draft, meters, money) {
    const errors = {};
    const meter = findMeter(meters, draft.meter);
    const body = { request: draft.request };
    let amount = '';
    if (!meter) {
        errors.meter = 'Choose a meter.';
    } else {
        body.meter = meterName(meter, meters);
    }
    try {
        if (draft.by === 'energy') {
            body.energy_wh = parseKwh(draft.amount, 1, AMOUNT_WH_MAX);
            amount = `${formatShortKwh(body.energy_wh)} kWh`;
        } else if (money) {
            body.money_minor = parseDecimal(draft.amount, money.decimals);
            if (body.money_minor < 1 || body.money_minor > MONEY_MINOR_MAX) {
                throw new RangeError('More than nothing, please; and less than all the money there is.');
            }
            amount = formatMoney(body.money_minor, money.decimals, money.currency);
        } else {
            errors.amount = 'There is no tariff that says what a kWh costs. Sell by kWh.';
        }
    } catch (error) {
        errors.amount = error.message;
    }
    const isComplete = Object.keys(errors).length === 0;
    const what = draft.by === 'energy' ? amount : `as many kWh as ${amount} buys`;
    return {
        body,
        errors,
        isComplete,
        sentence: isComplete
            ? `Sells ${what} to meter ${visible(meter.id)} of site ${visible(meter.site)}, which has ` +
              `${formatKwh(meter.balance_wh)} kWh now. The credit goes out by network, and its token is on the receipt.`
            : null,
    };
}

function Amount({ draft, currencies, money, error, edit }) {
    const isMoney = draft.by === 'money';
    return html`<${SelectField} id="sell-by" label="Sell by" value=${draft.by} onChange=${(by) => edit({ by })}
            choices=${[
                ['energy', 'energy'],
                ['money', 'money'],
            ]} />
        <${TextField} id="sell-amount" label="Amount"
            unit=${isMoney ? (money ? visible(money.currency) : 'money') : 'kWh'}
            value=${draft.amount} error=${error} inputmode="decimal"
            hint=${isMoney ? "HQ converts it by the site's tariff; what is left over is kept for the next sale." : null}
            onInput=${(amount) => edit({ amount })} />
        ${
            isMoney &&
            currencies.length > 1 &&
            html`<${SelectField} id="sell-currency" label="Currency of the site's tariff" value=${money.key}
                choices=${currencies.map(({ key }) => [key, visible(key.replace(/ \d$/, ''))])}
                onChange=${(currency) => edit({ currency })} />`
        }`;
}

function SellForm({ meters, tariffs, route }) {
    const [draft, change, reset] = useDraft('sale', firstDraft);
    const [shownErrors, setShownErrors] = useState(false);
    const [form, focusOnError] = useFocusOnError();
    const isHere = useRef(true);
    const { sending, problem, send, forget } = useChange();
    useEffect(() => {
        if (route.meter !== null && !draft.wasOpen) {
            change({ meter: route.meter });
        }
        return () => {
            isHere.current = false;
        };
    }, [route.meter]);
    const prepaid = meters.filter((meter) => meter.prepaid === true && isNamed(meter));
    const currencies = currenciesOf(tariffs);
    const money = currencies.find(({ key }) => key === draft.currency) ?? currencies[0] ?? null;
    const judged = judge(draft, meters, money);
    const errors = shownErrors ? judged.errors : {};
    const submit = async (event) => {
        event.preventDefault();
        setShownErrors(true);
        if (!judged.isComplete) {
            focusOnError();
            return;
        }
        storePending(draft);
        const done = await send('purchases', judged.body);
        if (done) {
            const purchase = done.answer?.purchase ?? done.answer;
            storePending(null);
            reset();
            rememberSale(purchase.id, done.repeated);
            if (isHere.current) {
                location.hash = linkTo.sale(purchase.id);
            }
        }
    };
    const edit = (part) => {
        if (problem && !problem.isOpen && problem.status !== 409) {
            forget(); // a refusal of what is not in the form any more
        }
        change(part);
    };
    const startAnew = () => {
        storePending(null);
        forget();
        reset();
        setShownErrors(false);
    };
    useEffect(() => {
        if (problem?.isOpen) {
            change({ isOpen: true });
        } else if (problem && !draft.isOpen) {
            storePending(null); // refused from the first: HQ has not sold, and does not remember the form
        }
    }, [problem]);
    const items = meterItems(prepaid).map((item) => ({
        ...item,
        detail: `${item.detail} · ${formatKwh(findMeter(prepaid, item.key).balance_wh)} kWh left`,
    }));
    return html`<form ref=${form} class="compose padded" onSubmit=${submit} novalidate aria-labelledby="sell-title">
        ${
            draft.wasOpen &&
            html`<div class="problem" role="status"><p><strong>An earlier sale has had no answer.</strong> It stands
                below as it was. Send it again: if HQ had it already, it only shows the receipt.</p>
            <button type="button" onClick=${startAnew}>Forget it, I have looked at the sales below</button></div>`
        }
        <div class="fields">
            <${Chooser} id="sell-meter" label="Meter" items=${items} value=${draft.meter} error=${errors.meter}
                hint=${`${formatCount(prepaid.length)} prepaid meter${prepaid.length === 1 ? '' : 's'}`}
                nothing="No prepaid meter's id, site or node contains this."
                onChange=${(meter) => edit({ meter })} />
            <${Amount} draft=${draft} currencies=${currencies} money=${money} error=${errors.amount} edit=${edit} />
        </div>
        <p class="sentence" aria-live="polite">${
            judged.sentence ?? 'Choose a meter and an amount: what will happen is said here before anything is sold.'
        }</p>
        <div class="buttons"><button type="submit" class="primary" disabled=${sending}>${
            sending ? 'Selling …' : problem?.isOpen ? 'Send again' : 'Sell'
        }</button></div>
        <${Problem} problem=${problem} what="it was sold">
            ${
                problem?.status === 409 &&
                html`<p>This form was sent before with another meter or amount, so it was
                <strong> already sold</strong> as it was then: see the sales below.${' '}
                <button type="button" onClick=${startAnew}>Start a new sale</button></p>`
            }<//>
    </form>`;
}

export function Sell({ tz, revision, route }) {
    const world = useWorld(revision);
    const tariffs = useResource((signal) => getList('tariffs', {}, signal, true), 'tariffs', []);
    const prepaid = world.value?.meters.some((meter) => meter.prepaid === true);
    return html`<section class="panel" aria-labelledby="sell-title">
        <div class="panel-head"><h2 id="sell-title">Sell</h2></div>
        ${world.value === null && html`<div class="padded"><${Loading} error=${world.error} /></div>`}
        ${
            prepaid === false &&
            html`<p class="empty">No meter is prepaid. Order <a href=${linkTo.commands()}>the mode prepaid</a> for one;
            it appears here when its node has said so.</p>`
        }
        ${
            prepaid &&
            html`<${SellForm} meters=${world.value.meters} tariffs=${tariffs.value} route=${route} />`
        }
        ${
            tariffs.error &&
            html`<p class="padded warn-text">Tariffs not available: ${visible(tariffs.error.message)}.</p>`
        }
    </section>
    <${Sales} tz=${tz} revision=${revision} />`;
}
