#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What operators do on HQ's page, in a real browser on the fake HQ: sign in, order, sell, look at the books. First the
// modules that need no browser. Every check has an HQ of its own. Exit: 0 passed, 1 failed, 77 skipped because the
// browser is missing. usage: page_operator_test.mjs [part of a check's name]

import assert from 'node:assert/strict';
import { formatMoney, formatShortKwh, groupToken, parseDecimal, parseInteger, parseKwh } from '../../web/hq/amounts.js';
import { initialValues, KINDS, kindsFor, readArguments } from '../../web/hq/kinds.js';
import { linkTo, parseRoute } from '../../web/hq/route.js';
import { describeTarget, meterName, targetText } from '../../web/hq/targets.js';
import { HOSTILE_ID, OPERATOR_TOKEN, startFakeHq } from './fake_hq.mjs';
import { launchBrowser, missing, MODULES, runCheck, WAIT_MS, widthFits } from './lib/browser.mjs';

const SMALL = { width: 360, height: 740 };
const NODE = '02:4d:4d:00:10:a2';

// ---- Modules without a browser

function checkAmounts() {
    assert.equal(parseKwh('5', 1, 1e12), 5000);
    assert.equal(parseKwh(' 0,001 ', 1, 1e12), 1);
    assert.equal(parseKwh('1\u202f234.5', 1, 1e12), 1234500);
    assert.equal(parseKwh('.1', 0, 1e12), 100); // in floating point 0.1 * 1000 may be 100.00000000000001
    assert.equal(parseDecimal('4.35', 2), 435); // in floating point 434.99999999999994
    const notAmounts = ['', ' ', '.', 'five', '1e3', '0x10', '1.2345', '-1', '0', '1.2.3', '99999999999999999999', '١'];
    for (const wrong of notAmounts) {
        assert.throws(() => parseKwh(wrong, 1, 1e12), RangeError, wrong);
    }
    assert.throws(() => parseInteger('1.5', 0, 9), RangeError);
    assert.throws(() => parseInteger('10', 0, 9), RangeError);
    assert.ok(Object.is(parseInteger('-0', 0, 9), 0));
    assert.deepEqual([5000, 500, 1, 0, '9007199254740993', -12].map(formatShortKwh), [
        '5',
        '0.5',
        '0.001',
        '0',
        '9\u202f007\u202f199\u202f254\u202f740.993',
        '−0.012',
    ]);
    assert.deepEqual(
        [
            [1250, 2, 'EUR'],
            [7, 3, 'KWD'],
            [100, 0, 'JPY'],
            [-5, 2, 'EUR'],
            [null, 2, 'EUR'],
            [100, 99, 'X'],
        ].map((money) => formatMoney(...money)),
        ['12.50 EUR', '0.007 KWD', '100 JPY', '−0.05 EUR', '–', '100 X'],
    );
    assert.deepEqual(groupToken('123456789'), ['123', '456', '789']);
    assert.deepEqual(groupToken('11112222333344441234'), ['111', '122', '223', '333', '444', '412', '34']);
    assert.deepEqual(groupToken(undefined), []);
}

function checkKinds() {
    // Those that HQ makes itself (credit, void, adjust, confirm) cannot be ordered.
    assert.equal(Object.keys(KINDS).length, 19);
    assert.ok(!kindsFor('meter').includes('reboot') && kindsFor('node').includes('reboot'));
    assert.ok(!kindsFor('all').includes('format') && !kindsFor('site').includes('update'));
    for (const kind of Object.keys(KINDS)) {
        const { values } = readArguments(kind, initialValues(kind));
        assert.equal(typeof KINDS[kind].sentence('meter x', values), 'string', kind);
    }
    assert.deepEqual(readArguments('limits', { warning_wh: '2.5', quiet_hours: 0xc00003 }), {
        values: { warning_wh: 2500, emergency_wh: 0, quiet_hours: 0xc00003, quiet_days: 0 },
        errors: {},
    });
    assert.match(
        KINDS.limits.sentence('meter x', { warning_wh: 2500, emergency_wh: 0, quiet_hours: 0xc00003, quiet_days: 1 }),
        /warns at 2\.5 kWh.*0–2 h, 22–24 h and on Sunday/,
    );
    assert.deepEqual(Object.keys(readArguments('update', {}).errors), ['id']);
    assert.deepEqual(readArguments('update', { id: 'new', start_wh: '12.5' }).values, { id: 'new', start_wh: 12500 });
    assert.deepEqual(readArguments('format', {}).values, { code: 0 });
    const wrong = [
        ['update', { id: '1234567890123' }, 'id'],
        ['update', { pulse_constant: '99' }, 'pulse_constant'],
        ['update', { pulse_constant: '10001' }, 'pulse_constant'],
        ['find', { seconds: '3601' }, 'seconds'],
        ['slot_plan', { slot: '0', slot_count: '43201' }, 'slot_count'],
        ['slot_plan', { slot: '250', slot_count: '250' }, 'slot'],
        ['network', { ssid: '', password: '12345678' }, 'ssid'],
        ['network', { ssid: 'é'.repeat(17), password: '' }, 'ssid'], // 34 bytes
        ['network', { ssid: 'home', password: '1234567' }, 'password'],
        ['network', { ssid: 'a\nb', password: '12345678' }, 'ssid'],
        ['broker', { url: 'http://x', user: '', password: '' }, 'url'],
        ['broker', { url: `mqtt://${'x'.repeat(90)}`, user: 'u'.repeat(60), password: 'p'.repeat(60) }, 'url'],
        ['ota_url', { url: 'https://' }, 'url'],
        ['ota_url', { url: 'https://a b' }, 'url'],
        ['limits', { warning_wh: '1000000.001' }, 'warning_wh'],
    ];
    for (const [kind, typed, field] of wrong) {
        assert.deepEqual(Object.keys(readArguments(kind, typed).errors), [field], `${kind} ${JSON.stringify(typed)}`);
    }
}

function checkTargets() {
    const meters = [
        { node: 'a', channel: 0, id: 'one', site: 's' },
        { node: 'a', channel: 1, id: 'two', site: 's' },
        { node: 'b', channel: 0, id: 'two', site: 't' },
        { node: 'b', channel: 1, id: 'all', site: 't' },
        { node: 'b', channel: 2, id: 'node:a', site: 't' },
    ];
    const nodes = [
        { mac: 'a', site: 's', root: true },
        { mac: 'b', site: 't', root: false },
    ];
    assert.deepEqual(
        meters.map((meter) => meterName(meter, meters)),
        ['one', 'a/2', 'b/1', 'b/2', 'b/3'],
    );
    const world = { meters, nodes };
    assert.equal(targetText({ type: 'meter', meter: 'a/0' }, world), 'one');
    assert.equal(targetText({ type: 'meter', meter: 'gone/0' }, world), null);
    assert.equal(targetText({ type: 'site', site: '' }, world), null);
    assert.equal(targetText({ type: 'gateway', site: 's' }, world), 'gateway:s');
    assert.deepEqual(describeTarget({ type: 'site', site: 't' }, world, 'meter'), {
        what: 'every meter of site t (3 meters)',
        name: 't',
        count: 3,
    });
    assert.equal(describeTarget({ type: 'gateway', site: 's' }, world, 'node').count, 1);
    assert.equal(parseRoute(linkTo.sellTo('02:4d', 3)).meter, '02:4d/3');
    assert.equal(parseRoute(linkTo.commandsFor('02:4d', 3)).view, 'commands');
    assert.equal(parseRoute(linkTo.order(12)).id, '12');
    assert.equal(parseRoute(linkTo.sale(12)).view, 'sale');
    for (const odd of ['#/commands/x', '#/sales', '#/sell/x', '#/commands/for/x', '#/sales/1/2', '#/books/1']) {
        assert.equal(parseRoute(odd).view, 'overview', odd);
    }
}

// ---- In the browser

const until = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: WAIT_MS });
const textOf = (page, selector) => page.locator(selector).textContent();
const untilText = (page, selector, wanted) =>
    until(page, ([at, pattern]) => pattern.test(document.querySelector(at)?.textContent ?? ''), [selector, wanted]);
const go = (page, hash) =>
    page.evaluate((to) => {
        location.hash = to;
    }, hash);

async function signIn(page, token = OPERATOR_TOKEN) {
    await page.fill('#token', token);
    await page.press('#token', 'Enter');
}

async function openSignedIn(open, hash, prepare = null, viewport = undefined) {
    const page = await open('#/sign-in', prepare, viewport);
    await signIn(page);
    await page.waitForSelector('.account button');
    await go(page, hash);
    return page;
}

/** By the keyboard alone. */
async function choose(page, field, text) {
    await page.fill(field, text);
    await page.waitForSelector('[role=option]');
    await page.press(field, 'Enter');
    await page.waitForSelector('[role=option]', { state: 'hidden' });
}

async function fillSale(page, meter, amount) {
    await choose(page, '#sell-meter', meter);
    await page.fill('#sell-amount', amount);
    await until(page, () => document.querySelector('.sentence').textContent.startsWith('Sells '));
}

const submit = (page) => page.press('form.compose .buttons button', 'Enter');

/** The first answer to a sale is lost on its way back, after HQ has sold. */
const loseFirstAnswer = (page) => {
    let lost = false;
    return page.route('**/api/v1/purchases', async (route) => {
        if (route.request().method() !== 'POST' || lost) {
            return route.fallback();
        }
        lost = true;
        await route.fetch();
        await route.abort('connectionreset');
    });
};

const SIGNING_IN = [
    [
        'readings need no sign-in; orders, sales and books do',
        async ({ open }) => {
            const page = await open('#/');
            await page.waitForSelector('a.card');
            assert.equal(await page.locator('#token').count(), 0);
            for (const hash of ['#/books', '#/commands', '#/commands/1', '#/sell']) {
                await go(page, hash);
                await until(page, () => document.querySelector('#token') && !document.querySelector('main table'));
                assert.equal(await page.locator('form.compose').count(), 0);
            }
            await go(page, '#/meter/02:4d:4d:00:10:a2/0');
            await page.waitForSelector('.detail .registers');
            assert.equal(await page.locator('.actions').count(), 0);
        },
    ],
    [
        'a wrong token is told beside its field, the right one is kept in this tab only',
        async ({ open }) => {
            const asked = [];
            const page = await open('#/sell', (target) =>
                target.on('request', (request) => asked.push([request.url(), request.headers().authorization])),
            );
            await page.waitForSelector('#token');
            assert.ok(await page.evaluate(() => document.activeElement.id === 'token'), 'the field has the focus');
            await signIn(page, '   ');
            assert.match(await textOf(page, '#token-error'), /Type the token/);
            await signIn(page, 'of nobody');
            assert.match(await textOf(page, '#token-error'), /no blanks/);
            await signIn(page, '00'.repeat(32));
            await untilText(page, '#token-error', /not know this token/);
            assert.match(await page.getAttribute('#token', 'aria-describedby'), /token-error/);
            assert.equal(await page.locator('.account button').count(), 0);
            await signIn(page);
            await page.waitForSelector('form.compose');
            assert.match(await textOf(page, '.account'), /alice/);
            const kept = await page.evaluate(() => [JSON.stringify(localStorage), JSON.stringify(sessionStorage)]);
            assert.ok(!kept[0].includes(OPERATOR_TOKEN) && kept[1].includes(OPERATOR_TOKEN));
            assert.ok(asked.every(([url]) => !url.includes(OPERATOR_TOKEN)));
            const sales = asked.filter(([url]) => url.includes('/purchases'));
            assert.ok(sales.length > 0 && sales.every(([, sent]) => sent === `Bearer ${OPERATOR_TOKEN}`));
            assert.ok(asked.filter(([url]) => /status|meters|\.js|\.css/.test(url)).every(([, sent]) => !sent));
            await page.reload();
            await page.waitForSelector('form.compose');
            await untilText(page, '.account', /alice/);
            await page.click('.account button');
            await page.waitForSelector('#token');
            assert.ok(!(await page.evaluate(() => JSON.stringify(sessionStorage))).includes(OPERATOR_TOKEN));
        },
    ],
    [
        'a token that HQ takes back leads to the sign-in, and back to the form',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/sell');
            await fillSale(page, 'flat-01', '7');
            hq.desk.operators.clear();
            await page.waitForSelector('#token');
            assert.match(await textOf(page, '.sign-in [role=alert]'), /does not accept your token any more/);
            hq.desk.operators.set(OPERATOR_TOKEN, 'alice');
            await signIn(page);
            await page.waitForSelector('form.compose');
            assert.equal(await page.inputValue('#sell-amount'), '7', 'the form is as it was');
            await go(page, '#/meter/02:4d:4d:00:10:a2/0');
            await page.waitForSelector('.actions');
            hq.desk.operators.clear();
            await page.click('.actions button >> text=Unlock');
            await page.click('dialog .danger');
            await page.waitForSelector('#token');
            assert.ok(await page.locator('.detail').isVisible(), 'what can be read without stays');
            hq.desk.operators.set(OPERATOR_TOKEN, 'alice');
            await signIn(page);
            await page.waitForSelector('.actions');
            hq.desk.operators.clear();
            await page.reload();
            await untilText(page, '.sign-in [role=alert]', /does not accept your token any more/);
            await go(page, '#/');
            await page.waitForSelector('a.card');
            assert.equal(await page.locator('#token').count(), 0, 'who only reads is not asked again');
        },
    ],
];

const ORDERING = [
    [
        'an order says what it will do, makes progress by itself, and is answered',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/commands');
            await choose(page, '#target-meter', 'flat-05');
            await page.selectOption('#kind', 'lock');
            await page.selectOption('#expiry', '3600');
            await page.selectOption('#priority', '9');
            await untilText(page, '.sentence', /^Cuts the supply of meter flat-05, .*within 1 h, it expires/);
            hq.desk.holdsOrders = true;
            await submit(page);
            await page.waitForSelector('p.success');
            const made = hq.desk.orders.at(-1);
            assert.deepEqual([made.target, made.kind, made.priority], ['flat-05', 'lock', 9]);
            assert.ok(made.not_after > made.created + 3500 && made.not_after <= made.created + 3600);
            const row = `tr[data-order="${made.id}"] .progress-text`;
            await untilText(page, row, /1 queued/);
            hq.desk.holdsOrders = false;
            await untilText(page, row, /1 done/);
            await page.click('p.success a');
            await untilText(page, 'td[data-label="State"]', /done/);
            await page.click('td[data-label="For"] a');
            await untilText(page, '.supply', /off\s+locked by HQ/);
        },
    ],
    [
        'lock and unlock beside the meter',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, `#/meter/${NODE}/2`);
            await page.click('.actions button >> text=Lock');
            await page.waitForSelector('dialog');
            await page.keyboard.press('Escape');
            await page.waitForSelector('dialog', { state: 'detached' });
            assert.equal(hq.desk.orders.length, 2, 'no is no');
            assert.ok(await page.locator('.detail').isVisible(), 'the view stays');
            await page.click('.actions button >> text=Lock');
            assert.match(await textOf(page, 'dialog'), /Lock flat-03\?.*Cuts the supply of meter flat-03/s);
            await page.click('dialog .danger');
            await untilText(page, '.followed', /1 done/);
            await untilText(page, '.supply', /locked by HQ/);
            await page.click('.actions button >> text=Unlock');
            await page.click('dialog .danger');
            await until(page, () => document.querySelector('.supply')?.textContent.trim() === 'on');
        },
    ],
    [
        'what is dangerous asks first, with the name of its target',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/commands');
            await page.selectOption('#target-type', 'node');
            await choose(page, '#target-node', 'a2');
            await page.selectOption('#kind', 'reboot');
            await submit(page);
            await page.waitForSelector('dialog');
            assert.match(await textOf(page, 'dialog'), new RegExp(`Reboot.*${NODE}.*Restarts node ${NODE}`, 's'));
            assert.ok(await page.evaluate(() => /No/.test(document.activeElement.textContent)), 'no has the focus');
            await page.keyboard.press('Enter');
            await page.waitForSelector('dialog', { state: 'detached' });
            assert.equal(hq.desk.orders.length, 2);
            await page.selectOption('#target-type', 'all');
            await submit(page);
            await page.waitForSelector('#confirm-word');
            assert.ok(await page.locator('dialog .danger').isDisabled());
            await page.fill('#confirm-word', 'all');
            await page.click('dialog .danger');
            await page.waitForSelector('p.success');
            assert.deepEqual([hq.desk.orders.length, hq.desk.orders.at(-1).target], [3, 'all']);
        },
    ],
    [
        'what is wrong is told beside its field, a refusal in the words of HQ',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/commands');
            await page.waitForSelector('form.compose');
            await submit(page);
            assert.match(await textOf(page, '#target-meter-error'), /Choose a meter/);
            await until(page, () => document.activeElement.id === 'target-meter');
            await page.selectOption('#target-type', 'node');
            await choose(page, '#target-node', 'a1');
            await page.selectOption('#kind', 'slot_plan');
            await page.fill('#argument-slot', '250');
            await submit(page);
            assert.match(await textOf(page, '#argument-slot-error'), /at most 249/);
            await page.fill('#argument-slot_count', '500');
            hq.desk.keyless.add('02:4d:4d:00:10:a1');
            await submit(page);
            await untilText(page, '.problem', /HQ refused.*no key of node/s);
            assert.equal(hq.desk.orders.length, 2);
            assert.equal(await page.inputValue('#argument-slot'), '250', 'the form is as it was');
            hq.desk.keyless.clear();
            await submit(page);
            await page.waitForSelector('p.success');
            assert.deepEqual(hq.desk.orders.at(-1).arguments, { slot: 250, slot_count: 500 });
        },
    ],
    [
        'what was not sent can be withdrawn, what a node refused says why',
        async ({ open, hq }) => {
            hq.desk.holdsOrders = true;
            const page = await openSignedIn(open, '#/commands');
            await page.selectOption('#target-type', 'site');
            await page.selectOption('#kind', 'find');
            await submit(page);
            await page.click('p.success a');
            await page.click('.withdraw button');
            await page.click('dialog .danger');
            await untilText(page, '.withdraw', /3 withdrawn/);
            await untilText(page, '.progress-text', /3 withdrawn/);
            await go(page, `#/commands/for/${NODE}/4`); // flat-05, postpaid
            await until(page, () => document.querySelector('#target-meter')?.value === 'flat-05');
            await page.selectOption('#kind', 'limits');
            await submit(page);
            await page.click('p.success a');
            await untilText(page, '.progress-text', /1 queued/);
            hq.desk.holdsOrders = false;
            await untilText(page, 'td[data-label="Answer"]', /not possible in the state/);
        },
    ],
];

const SELLING = [
    [
        'a sale gives a receipt that can be read out, printed and followed',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/sell');
            await fillSale(page, 'flat-01', '5');
            assert.match(await textOf(page, '.sentence'), /^Sells 5 kWh to meter flat-01 of site house4, .* 1\.800 kWh/);
            hq.desk.holdsSales = true;
            await submit(page);
            await page.waitForSelector('.receipt');
            const sold = hq.desk.purchases.at(-1);
            assert.deepEqual([sold.meter, sold.energy_wh, hq.desk.purchases.length], ['flat-01', 5000, 9]);
            const groups = await page.locator('.token.large span').allTextContents();
            assert.deepEqual([groups.length, groups.join('')], [3, sold.token]);
            const restricted = await page.locator('.token.restricted span').allTextContents();
            assert.equal(restricted.join(''), sold.token_restricted);
            assert.match(await textOf(page, '.receipt-facts'), /1\.60 EUR.*0\.25 EUR/s);
            const size = await page.locator('.token.large').evaluate((element) => getComputedStyle(element).fontSize);
            assert.ok(parseFloat(size) >= 28, 'the token is large');
            await page.emulateMedia({ media: 'print' });
            assert.ok(await page.locator('.receipt').isVisible());
            const shown = await page.evaluate(() =>
                [...document.querySelectorAll('body *')]
                    .filter((element) => element.children.length === 0 && element.getClientRects().length > 0)
                    .filter((element) => !element.closest('.receipt') && element.textContent.trim() !== '')
                    .map((element) => element.textContent),
            );
            assert.deepEqual(shown, [], 'nothing else is printed');
            await page.emulateMedia({ media: null });
            hq.desk.holdsSales = false;
            await untilText(page, '.buttons-row', /applied\s+by network/);
        },
    ],
    [
        'money buys what the tariff gives, and the rest is kept',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, `#/sell/${NODE}/3`);
            await until(page, () => document.querySelector('#sell-meter')?.value === 'flat-04');
            await page.selectOption('#sell-by', 'money');
            await untilText(page, 'label[for=sell-amount]', /EUR/);
            await page.fill('#sell-amount', '1.005');
            await submit(page);
            assert.match(await textOf(page, '#sell-amount-error'), /At most 2 digits/);
            await page.fill('#sell-amount', '1,00');
            await submit(page);
            await page.waitForSelector('.receipt');
            assert.equal(hq.desk.purchases.at(-1).money_minor, 100);
            // 100 cents at 32 each: 3 kWh, 4 cents are left
            assert.match(await textOf(page, '.receipt'), /3 kWh for flat-04.*1\.00 EUR.*0\.04000 EUR/s);
        },
    ],
    [
        'pressed twice it sells once',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/sell');
            const sent = [];
            page.on('request', (request) => request.method() === 'POST' && sent.push(request.postDataJSON().request));
            await fillSale(page, 'flat-03', '2');
            await page.locator('form.compose').evaluate((form) => {
                form.requestSubmit();
                form.requestSubmit();
                form.querySelector('.buttons button').click();
            });
            await page.waitForSelector('.receipt');
            assert.deepEqual([hq.desk.purchases.length, sent.length], [9, 1]);
            await go(page, '#/sell');
            await page.waitForSelector('#sell-meter');
            assert.equal(await page.inputValue('#sell-amount'), '', 'the next form is another one');
            await fillSale(page, 'flat-03', '2');
            await submit(page);
            await page.waitForSelector('.receipt');
            assert.equal(hq.desk.purchases.length, 10, 'the same sale once more, on purpose');
            assert.equal(new Set(sent).size, 2);
        },
    ],
    [
        'a lost answer: sent again it says "already sold"',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/sell', loseFirstAnswer);
            await fillSale(page, 'flat-01', '4');
            await submit(page);
            await untilText(page, '.problem', /not known whether it was sold/);
            assert.equal(hq.desk.purchases.length, 9);
            await page.click('text=Send again');
            await page.waitForSelector('.receipt');
            assert.match(await textOf(page, '.panel-head [role=status]'), /Already sold.*once/s);
            assert.equal(hq.desk.purchases.length, 9);
        },
        { expectsErrors: true },
    ],
    [
        'a lost answer: the form outlives a reload; changed it is not sold a second time',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/sell', loseFirstAnswer);
            await fillSale(page, 'flat-01', '4');
            await submit(page);
            await page.waitForSelector('.problem');
            await page.reload();
            await page.waitForSelector('text=An earlier sale has had no answer');
            assert.equal(await page.inputValue('#sell-amount'), '4');
            await page.fill('#sell-amount', '40');
            await submit(page);
            await untilText(page, '[role=alert] .problem', /already sold/);
            assert.equal(hq.desk.purchases.length, 9);
            await page.fill('#sell-amount', '4');
            await submit(page);
            await page.waitForSelector('.receipt');
            assert.equal(hq.desk.purchases.length, 9);
        },
        { expectsErrors: true },
    ],
    [
        'HQ refuses an amount, a sale can be made void',
        async ({ open, hq }) => {
            hq.desk.holdsSales = true;
            const page = await openSignedIn(open, '#/sell');
            await page.waitForSelector('table.sales');
            await fillSale(page, 'flat-01', '0.5');
            await submit(page);
            await untilText(page, '.problem', /HQ refused.*not whole units/s);
            await page.fill('#sell-amount', '0');
            await submit(page);
            assert.match(await textOf(page, '#sell-amount-error'), /From 0\.001/);
            await page.fill('#sell-amount', '1');
            await submit(page);
            await page.waitForSelector('.receipt');
            await page.click('.void button');
            await page.waitForSelector('dialog');
            assert.match(await textOf(page, 'dialog'), /Void sale 9: 1 kWh for flat-01\?/);
            await page.click('dialog .danger');
            await untilText(page, '.buttons-row .badge', /voiding|void/);
            await go(page, '#/sell');
            await untilText(page, 'tr[data-sale="9"] .badge', /^\s*void\s*$/);
            const states = await page.locator('table.sales tbody .badge').allTextContents();
            assert.deepEqual([...new Set(states)].sort(), ['applied', 'lost', 'void']);
            assert.match(await textOf(page, 'tr[data-sale="2"]'), /by the typed token/);
        },
    ],
    [
        'the books say in a sentence whether they balance',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/books');
            await page.waitForSelector('.verdict.good');
            assert.match(await textOf(page, '.verdict'), /The books balance\..*still on the way for flat-03/s);
            assert.equal(await page.locator('table.books tbody tr').count(), 6);
            assert.equal(await page.locator('.books .difference').count(), 0);
            // 5 + 10 + 15 + 20 + 25 + 30 applied; 3 void, 1 lost
            const cells = await page.locator('.books tfoot td').allTextContents();
            assert.deepEqual(cells.slice(0, 6), ['109.000', '105.000', '0.000', '3.000', '1.000', '0.000']);
            hq.desk.unbalanced = true;
            await page.waitForSelector('.verdict.bad', { timeout: WAIT_MS });
            assert.match(
                await textOf(page, '.verdict'),
                /do not balance.*flat-01: 5\.000 kWh were issued that are neither.*The ledger in Wh: debits/s,
            );
            assert.equal(await page.locator('.books tbody .difference').textContent(), '5.000');
        },
    ],
];

const EVERYWHERE = [
    [
        '360 pixels are enough, every control has a name, nothing has a style of its own',
        async ({ open }) => {
            const page = await openSignedIn(open, '#/sign-in', null, SMALL);
            const views = [
                ['#/sign-in', '#sign-in-title'],
                ['#/sell', 'table.sales'],
                ['#/sales/2', '.receipt'],
                ['#/books', '.verdict'],
                ['#/commands', 'table.orders'],
                ['#/commands/1', 'pre.answer'],
                [`#/meter/${NODE}/1`, '.actions'],
                ['#/', 'a.card'],
            ];
            for (const [hash, selector] of views) {
                await go(page, hash);
                await page.waitForSelector(selector);
                assert.ok(await widthFits(page), hash);
                assert.deepEqual(await namelessControls(page), [], hash);
            }
            await go(page, '#/commands');
            await page.waitForSelector('#kind');
            await page.selectOption('#target-type', 'gateway');
            for (const kind of kindsFor('gateway')) {
                await page.selectOption('#kind', kind);
                await until(
                    page,
                    (count) => document.querySelectorAll('.compose .fields').length === count,
                    KINDS[kind].fields ? 3 : 2,
                );
                assert.ok(await widthFits(page), kind);
                assert.deepEqual(await namelessControls(page), [], kind);
            }
            assert.equal(await page.locator('main [style], #app script').count(), 0);
        },
    ],
    [
        'hostile texts stay texts',
        async ({ open, hq, dialogs }) => {
            hq.desk.operators.set(OPERATOR_TOKEN, HOSTILE_ID);
            const page = await openSignedIn(open, '#/sell', null, SMALL);
            await until(page, (id) => document.querySelector('.account strong').textContent === id, HOSTILE_ID);
            await fillSale(page, 'pwned', '3');
            assert.match(await textOf(page, '.sentence'), /onerror=/);
            await submit(page);
            await until(page, (id) => document.querySelector('.receipt h2')?.textContent.includes(id), HOSTILE_ID);
            assert.ok(await widthFits(page), 'receipt');
            await page.click('.void button');
            await page.waitForSelector('dialog');
            assert.ok(await widthFits(page), 'question');
            await page.keyboard.press('Escape');
            const views = [
                ['#/sell', 'table.sales'],
                ['#/books', 'table.books'],
                ['#/commands/1', 'pre.answer'],
                [`#/meter/${NODE}/1`, '.actions'],
            ];
            for (const [hash, selector] of views) {
                await go(page, hash);
                await page.waitForSelector(selector);
                await until(page, (id) => document.querySelector('main').textContent.includes(id), HOSTILE_ID);
                assert.ok(await widthFits(page), hash);
            }
            await page.route('**/api/v1/orders', (route) =>
                route.request().method() === 'POST'
                    ? route.fulfill({ status: 400, json: { error: HOSTILE_ID } })
                    : route.fallback(),
            );
            await page.click('.actions button >> text=Lock');
            await page.click('dialog .danger');
            await until(page, (id) => document.querySelector('.problem')?.textContent.includes(id), HOSTILE_ID);
            assert.equal(await page.evaluate(() => window.pwned), undefined);
            assert.equal(await page.locator('#app script, #app img:not(.brand img)').count(), 0);
            assert.deepEqual(dialogs, []);
        },
    ],
];

const namelessControls = (page) =>
    page.locator('main :is(input, select, button, a[href])').evaluateAll((controls) =>
        controls
            .filter((control) => !control.labels?.length && !control.ariaLabel && !control.textContent.trim())
            .map((control) => control.outerHTML),
    );

async function main() {
    for (const check of [checkAmounts, checkKinds, checkTargets]) {
        check();
        console.log(`ok   ${check.name}`);
    }
    const reason = missing();
    if (reason) {
        console.log(`skipped: ${reason}`);
        return 77;
    }
    const wanted = process.argv[2] ?? '';
    const checks = [...SIGNING_IN, ...ORDERING, ...SELLING, ...EVERYWHERE].filter(([name]) => name.includes(wanted));
    const browser = await launchBrowser();
    let failed = 0;
    try {
        for (const check of checks) {
            const hq = await startFakeHq({ modules: MODULES, extremes: check[0].startsWith('hostile') });
            failed += (await runCheck(browser, check, hq.url, { hq })) ? 0 : 1;
            await hq.stop();
        }
    } finally {
        await browser.close();
    }
    console.log(failed ? `${failed} of ${checks.length} checks failed` : `all ${checks.length} checks passed`);
    return failed ? 1 : 0;
}

process.exitCode = await main();
