#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// What an installer does on the node's own page, in a real browser of a phone's size on the fake node: the code, the
// form with everything that can be wrong in it, review, storing, waiting for HQ. Every check has a node of its own.
// Exit: 0 passed, 1 failed, 77 skipped because the browser is missing. MM_SHOTS names a directory for pictures.
// usage: configurator_test.mjs [part of a check's name]

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GOOD_CODE, PAGE, startFakeNode } from './fake_node.mjs';
import { launchBrowser, missing, runCheck, WAIT_MS, widthFits } from './lib/browser.mjs';

const PHONE = { width: 360, height: 740 };
const PAGE_BYTES_MAX = 40960;
const SCRIPT = '<img src=x onerror=window.stolen=1>';

const until = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: WAIT_MS });
const untilText = (page, selector, wanted) =>
    until(page, ([at, pattern]) => pattern.test(document.querySelector(at)?.textContent ?? ''), [selector, wanted]);
const untilStep = (page, name) => page.waitForSelector(`#${name}-step`, { state: 'visible' });
const textOf = (page, selector) => page.locator(selector).textContent();
const posts = (node, path) => node.requests.filter(({ method, url }) => method === 'POST' && url === path);

async function shot(page, name) {
    assert.ok(await widthFits(page), `${name} fits the width`);
    if (process.env.MM_SHOTS) {
        await page.screenshot({ path: join(process.env.MM_SHOTS, `node-${name}.png`), fullPage: true });
    }
}

async function enter(page, code = GOOD_CODE) {
    await untilStep(page, 'code');
    await page.fill('#code', code);
    await page.press('#code', 'Enter');
    await untilStep(page, 'form');
}

const PLACE = {
    node_no: '4711',
    province: '17',
    canton: '1',
    parish: '50',
    postal_code: '170150',
    address: 'Av. Amazonas 21, Q´',
    installer: 'María Ñ',
};

async function fillPlace(page, values = PLACE) {
    for (const [name, value] of Object.entries(values)) {
        await page.fill(`#${name}`, value);
    }
}

async function fillMeter(page, channel, id, constant, kwh) {
    await page.evaluate((at) => {
        document.getElementById(`meter-${at}`).open = true;
    }, channel);
    await page.fill(`#meter_id_${channel + 1}`, id);
    await page.fill(`#pulse_constant_${channel + 1}`, constant);
    await page.fill(`#start_wh_${channel + 1}`, kwh);
}

const review = async (page) => {
    await page.click('#form .main');
    await untilStep(page, 'review');
};

// ---- checks

async function theWholeWay({ open, node }) {
    const page = await open('', null, PHONE);
    await untilStep(page, 'code');
    assert.equal(await textOf(page, '#number'), '554 6600');
    await shot(page, 'code');
    await enter(page, ' 462B 1E82 ');
    await shot(page, 'form');
    await fillPlace(page);
    await fillMeter(page, 0, 'A-100', '1000', '12345,678');
    await page.click('#meter-0 .buttons button'); // Next: meter 2
    await page.waitForSelector('#meter_id_2', { state: 'visible' });
    assert.equal(await page.evaluate(() => document.activeElement.id), 'meter_id_2');
    await fillMeter(page, 1, 'B-200', '800', '0');
    await page.check('#prepaid_2');
    await page.fill('#warning_wh_2', '2.5');
    await page.fill('#emergency_wh_2', '1');
    await shot(page, 'form-filled');
    await review(page);
    await untilText(page, '#review', /A-100.*12345,678 kWh.*B-200.*yes.*2\.5 kWh/s);
    await shot(page, 'review');
    await page.click('#store');
    await untilStep(page, 'done');
    await untilText(page, '#done-title', /Waiting for headquarters/);
    await shot(page, 'waiting');
    const { nonce, ...stored } = node.stored;
    assert.match(nonce, /^[0-9a-f]{32}$/);
    assert.deepEqual(stored, {
        ...PLACE,
        meter_id_1: 'A-100',
        pulse_constant_1: '1000',
        start_wh_1: '12345678',
        prepaid_1: '0',
        meter_id_2: 'B-200',
        pulse_constant_2: '800',
        start_wh_2: '0',
        prepaid_2: '1',
        warning_wh_2: '2500',
        emergency_wh_2: '1000',
    });
    node.phase = 'running';
    await untilText(page, '#done-title', /is running/);
    await untilText(page, '#live', /running/);
    await shot(page, 'running');
    assert.equal(await page.evaluate(() => sessionStorage.getItem('meshmeter-draft')), null);
    assert.ok(node.requests.every(({ url }) => !url.includes('?')));
}

async function wrongCodes({ open, node }) {
    const page = await open('', null, PHONE);
    await untilStep(page, 'code');
    for (const [typed, pattern] of [
        ['', /8 characters/],
        ['462b1e8', /8 characters/],
        ['462b1e8g', /8 characters/],
    ]) {
        await page.fill('#code', typed);
        await page.press('#code', 'Enter');
        await untilText(page, '#code-problem', pattern);
    }
    assert.equal(posts(node, '/api/code').length, 0);
    for (let attempt = 1; attempt <= 5; attempt++) {
        await page.fill('#code', '0000000' + attempt);
        await page.press('#code', 'Enter');
        await until(page, () => document.getElementById('code').value === '');
        await untilText(page, '#code-problem', /wrong/);
    }
    await page.waitForSelector('#locked', { state: 'visible' });
    assert.ok(await page.locator('#code-send').isDisabled());
    await untilText(page, '#number', /5365 9506/);
    await untilText(page, '#locked-left', /0:0[0-3]/);
    await shot(page, 'locked');
    await page.waitForSelector('#locked', { state: 'hidden' });
    await enter(page);
}

const CASES = [
    ['node_no', '0', /1 to 100,000/],
    ['node_no', '100001', /1 to 100,000/],
    ['node_no', '1.5', /whole number/],
    ['province', 'x', /whole number/],
    ['province', '201', /1 to 200/],
    ['canton', '501', /1 to 500/],
    ['parish', '-1', /whole number/],
    ['postal_code', '10000000', /9,999,999/],
    ['address', 'ñ'.repeat(23), /45 characters/], // 46 bytes
    ['installer', 'Jo', /3 to 24/],
    ['installer', 'x'.repeat(25), /3 to 24/],
    ['router_name', 'é'.repeat(17), /32 characters/],
    ['router_password', '1234567', /8 to 63/],
    ['meter_id_1', 'has blank', /no blank/],
    ['meter_id_1', '1234567890123', /1 to 12/],
    ['meter_id_1', 'a,b', /comma/],
    ['meter_id_1', 'ñ', /letters/],
    ['pulse_constant_1', '99', /100 to 10,000/],
    ['pulse_constant_1', '10001', /100 to 10,000/],
    ['start_wh_1', '', /12345/],
    ['start_wh_1', '1.2345', /12345/],
    ['start_wh_1', '3000000.001', /3,000,000/],
    ['start_wh_1', '1e5', /12345/],
    ['warning_wh_1', 'much', /12345/],
    ['emergency_wh_1', '1000001', /1,000,000/],
];

async function everyFieldThatIsWrong({ open, node }) {
    const page = await open('', null, PHONE);
    await enter(page);
    await page.click('#form .main');
    await untilText(page, '#summary', /things are not right/);
    await fillPlace(page);
    await fillMeter(page, 0, 'A-100', '1000', '5');
    await page.check('#prepaid_1');
    for (const [field, wrong, pattern] of CASES) {
        const before = await page.inputValue(`#${field}`);
        await page.fill(`#${field}`, wrong);
        await page.click('#form .main');
        await untilText(page, `#${field}-problem`, pattern);
        assert.equal(await page.getAttribute(`#${field}`, 'aria-invalid'), 'true', `${field} ${wrong}`);
        await page.click(`#summary a[href="#${field}"]`);
        assert.equal(await page.evaluate(() => document.activeElement.id), field);
        if (wrong === 'has blank') {
            await shot(page, 'problems');
        }
        await page.fill(`#${field}`, before);
    }
    await fillMeter(page, 3, 'A-100', '1000', '5');
    await page.click('#form .main');
    await untilText(page, '#meter_id_4-problem', /Another meter/);
    await page.fill('#meter_id_4', 'D');
    await page.fill('#router_password', '12345678');
    await page.click('#form .main');
    await untilText(page, '#router_name-problem', /needed/);
    await page.fill('#router_password', '');
    await page.fill('#router_name', '');
    await review(page);
    assert.equal(posts(node, '/api/configuration').length, 0);
}

async function problemsOfTheNode({ open, node }) {
    const page = await open('', null, PHONE);
    await enter(page);
    await fillPlace(page, { ...PLACE, address: SCRIPT });
    await fillMeter(page, 2, 'C-300', '1000', '5');
    await review(page);
    node.problems = [
        { field: 'meter_id', channel: 2, what: 'is used at this site' },
        { field: 'address', channel: 0, what: SCRIPT },
        { field: 'none', channel: 0, what: 'something else' },
    ];
    await page.click('#store');
    await untilStep(page, 'form');
    await untilText(page, '#meter_id_3-problem', /Is used at this site/);
    await untilText(page, '#address-problem', /onerror/);
    await untilText(page, '#summary', /3 things.*something else/is);
    assert.equal(await page.inputValue('#address'), SCRIPT);
    await page.fill('#address', 'Somewhere 1');
    await page.fill('#meter_id_3', 'C-301');
    await review(page);
    node.failStorage = true;
    await page.click('#store');
    await untilText(page, '#message', /memory refused/);
    await shot(page, 'storage');
    node.failStorage = false;
    await page.click('#store');
    await untilStep(page, 'done');
    assert.equal(node.stored.meter_id_3, 'C-301');
    assert.equal(await page.evaluate(() => window.stolen), undefined);
}

async function reloadAndLostConnection({ open, node, fake }) {
    const page = await open('', null, PHONE);
    await enter(page);
    await fillPlace(page);
    await fillMeter(page, 0, 'A-100', '1000', '5');
    await page.fill('#router_name', 'house');
    await page.fill('#router_password', 'very secret');
    const kept = await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }));
    assert.match(kept, /A-100/);
    assert.doesNotMatch(kept, /very secret/);
    await page.reload();
    await untilStep(page, 'form'); // the session goes on
    assert.equal(await page.inputValue('#installer'), PLACE.installer);
    assert.equal(await page.inputValue('#meter_id_1'), 'A-100');
    assert.equal(await page.inputValue('#router_name'), 'house');
    assert.equal(await page.inputValue('#router_password'), '');
    await fake.stop();
    await page.waitForSelector('#lost', { state: 'visible' });
    await shot(page, 'lost');
    await page.fill('#parish', '51');
    await page.fill('#router_name', '');
    await review(page);
    await page.click('#store');
    await untilText(page, '#message', /did not answer/);
    await fake.restart();
    await page.waitForSelector('#lost', { state: 'hidden' });
    // The node never heard that request, so its nonce is still good.
    await page.click('#store');
    await untilStep(page, 'done');
    assert.equal(node.stored.parish, '51');
}

async function anAnswerThatIsLost({ open, node }) {
    const page = await open('', null, PHONE);
    await enter(page);
    await fillPlace(page);
    await fillMeter(page, 0, 'A-100', '1000', '5');
    await review(page);
    node.dropAnswer = true;
    await page.click('#store');
    await untilStep(page, 'done'); // it was stored, and the page finds that out
    await untilText(page, '#message', /is stored/);
    assert.equal(await page.evaluate(() => sessionStorage.getItem('meshmeter-draft')), null);
    assert.equal(node.stored.meter_id_1, 'A-100');
    assert.equal(posts(node, '/api/configuration').length, 1);
    // The same with problems in the answer: the session goes on with the answer that the node gives again.
    await page.click('#again');
    await enter(page);
    await fillPlace(page, { ...PLACE, parish: '60' });
    await fillMeter(page, 0, 'A-100', '1000', '5');
    await review(page);
    node.problems = [{ field: 'address', what: 'is wrong' }];
    node.dropAnswer = true;
    await page.click('#store');
    await untilText(page, '#message', /did not answer/);
    let before = posts(node, '/api/configuration').length;
    await page.click('#store');
    await untilText(page, '#summary', /Address/);
    assert.equal(posts(node, '/api/configuration').length, before + 1);
    // Lost once more, and changed before it is sent again: the one that was heard is asked for its answer, and is not
    // what is stored.
    await review(page);
    node.problems = [{ field: 'address', what: 'is wrong' }];
    node.dropAnswer = true;
    await page.click('#store');
    await untilText(page, '#message', /did not answer/);
    await page.click('#back');
    await page.fill('#parish', '61');
    await review(page);
    before = posts(node, '/api/configuration').length;
    await page.click('#store');
    await untilStep(page, 'done');
    assert.equal(posts(node, '/api/configuration').length, before + 3);
    assert.equal(node.stored.parish, '61');
    assert.equal(node.values.revision, 2);
}

async function theSessionIsOver({ open, node }) {
    const page = await open('', null, PHONE);
    await enter(page);
    await fillPlace(page);
    node.session.until = Date.now() + 45000;
    await untilText(page, '#session-left', /^0:4/);
    await untilText(page, '#live', /One minute/);
    await page.click('#extend');
    await untilText(page, '#session-left', /^(10:00|9:5)/);
    node.session = null;
    await untilStep(page, 'code');
    await untilText(page, '#message', /its time is up/);
    await shot(page, 'over');
    await enter(page);
    assert.equal(await page.inputValue('#address'), PLACE.address);
    // A nonce that somebody else has used up.
    await fillMeter(page, 0, 'A-100', '1000', '5');
    node.begin();
    await review(page);
    await page.click('#store');
    await untilText(page, '#message', /session is over/);
    assert.equal(node.stored, null);
    await untilText(page, '#busy-title', /Your session is still open/);
    node.session = null;
    await enter(page);
    assert.equal(await page.inputValue('#meter_id_1'), 'A-100');
}

async function anotherInstaller({ open, node }) {
    node.begin(300);
    const page = await open('', null, PHONE);
    await untilStep(page, 'busy');
    await untilText(page, '#busy-left', /^in (5:00|4:5)/);
    await untilText(page, '#busy-title', /Another installer/);
    await shot(page, 'busy');
    node.session = null;
    await untilStep(page, 'code');
    // Somebody is faster.
    await page.fill('#code', GOOD_CODE);
    node.begin(300);
    await page.press('#code', 'Enter');
    await untilStep(page, 'busy');
    await untilText(page, '#code-problem', /not the code of the open session/);
}

/** Whoever has lost his page types the same code in another one; the first one says that its session is over. */
async function anotherPage({ open, node }) {
    const first = await open('', null, PHONE);
    await enter(first);
    await first.fill('#address', 'Street 1');
    const second = await open('', null, PHONE);
    await untilStep(second, 'busy');
    await untilText(second, '#busy-text', /type its code again/);
    await second.fill('#code', 'ffffffff');
    await second.press('#code', 'Enter');
    await untilText(second, '#code-problem', /not the code of the open session/);
    await second.fill('#code', GOOD_CODE);
    await shot(second, 'busy-code');
    await second.click('#code-send');
    await untilStep(second, 'form');
    await first.click('#extend');
    await untilText(first, '#message', /session is over/);
    await untilStep(first, 'busy');
    await untilText(first, '#busy-text', /Type its code again/);
    await first.fill('#code', GOOD_CODE);
    await first.press('#code', 'Enter');
    await untilStep(first, 'form');
    assert.equal(await first.inputValue('#address'), 'Street 1');
    // What the other page stores is not what was typed here, which stays.
    node.session = null;
    node.values = { ...node.values, ...PLACE, revision: 7 };
    node.phase = 'awaiting';
    await untilText(first, '#message', /another page has it.*typed is kept/);
    assert.doesNotMatch(await textOf(first, '#message'), /stored/);
    node.phase = 'running';
    await untilStep(first, 'done');
    await first.click('#again');
    await enter(first);
    assert.equal(await first.inputValue('#address'), 'Street 1');
}

async function fixedMeters({ open, node }) {
    node.phase = 'running';
    Object.assign(node.values, { ...PLACE, node_no: 4711, revision: 3, address: 'Old street 5' });
    node.values.channels[0] = {
        meter_id: 'A-100',
        pulse_constant: 1000,
        start_wh: 2999999999,
        prepaid: true,
        warning_wh: 2500,
        emergency_wh: 0,
        fixed: true,
    };
    const page = await open('', null, PHONE);
    await untilStep(page, 'done');
    await page.click('#again');
    await enter(page);
    assert.equal(await page.inputValue('#address'), 'Old street 5');
    assert.equal(await page.inputValue('#start_wh_1'), '2999999.999');
    assert.equal(await page.inputValue('#warning_wh_1'), '2.5');
    for (const field of ['meter_id_1', 'pulse_constant_1', 'start_wh_1']) {
        assert.ok(await page.evaluate((id) => document.getElementById(id).readOnly, field), field);
    }
    await page.waitForSelector('#meter-0-fixed', { state: 'visible' });
    await shot(page, 'fixed');
    await page.uncheck('#prepaid_1');
    await page.fill('#router_name', 'other');
    await review(page);
    await page.click('#store');
    await untilStep(page, 'done');
    assert.equal(node.stored.start_wh_1, '2999999999');
    assert.equal(node.stored.prepaid_1, '0');
    await untilText(page, '#message', /stored, but .* router/);
}

async function parkedAndFault({ open, node }) {
    node.phase = 'parked';
    const page = await open('', null, PHONE);
    await untilStep(page, 'parked');
    await shot(page, 'parked');
    node.phase = 'fault';
    await untilStep(page, 'fault');
    await shot(page, 'fault');
    node.phase = 'provisioned';
    await enter(page);
    await page.click('.cancel');
    await untilText(page, '#message', /Cancelled/);
    assert.equal(node.session, null);
    await untilStep(page, 'code');
}

async function keyboardAndLabels({ open }) {
    const page = await open('', null, PHONE);
    await untilStep(page, 'code');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'code');
    await page.keyboard.type(GOOD_CODE);
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await untilStep(page, 'form');
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H2');
    await page.evaluate(() => {
        for (const card of document.querySelectorAll('details')) {
            card.open = true;
        }
    });
    const faults = await page.evaluate(() => {
        const found = [];
        for (const input of document.querySelectorAll('input')) {
            if (!input.labels.length) {
                found.push(`${input.id} has no label`);
            }
            for (const id of (input.getAttribute('aria-describedby') ?? '').split(' ').filter(Boolean)) {
                if (!document.getElementById(id)) {
                    found.push(`${input.id} is described by ${id}, which is not there`);
                }
            }
        }
        for (const target of document.querySelectorAll('#form button, #form input[type=text], #form summary, #form .check')) {
            const { height, width } = target.getBoundingClientRect();
            if (width > 0 && height < 48) {
                found.push(`${target.id || target.textContent} is ${height} px high`);
            }
        }
        return found;
    });
    assert.deepEqual(faults, []);
    await shot(page, 'all-open');
    await page.emulateMedia({ colorScheme: 'dark' });
    await shot(page, 'dark');
}

async function tokenOfACustomer({ open, node }) {
    node.phase = 'running';
    node.prepaid = ['flat-1', 'flat-2'];
    const page = await open('', null, PHONE);
    await untilStep(page, 'done');
    await page.selectOption('#token-meter', 'flat-2');
    const answered = (pattern) =>
        page.waitForFunction((wanted) => wanted.test(document.getElementById('token-answer').textContent), pattern);
    await page.fill('#token', '123 456 789');
    await page.press('#token', 'Enter');
    await answered(/no token of this meter.*Try again in 1:00/);
    await page.fill('#token', '588 224 011');
    await page.press('#token', 'Enter');
    await answered(/Accepted: 5 kWh. Balance: 4.21 kWh/);
    assert.equal(await page.inputValue('#token'), '');
    await page.fill('#token', '588 224 011');
    await page.press('#token', 'Enter');
    await answered(/used before/);
    assert.equal(await page.inputValue('#token-meter'), 'flat-2');
    await shot(page, 'token');
    node.prepaid = [];
    await page.waitForSelector('#token-step', { state: 'hidden' });
}

async function oneSmallFile() {
    const text = await readFile(PAGE, 'utf8');
    assert.ok(Buffer.byteLength(text) <= PAGE_BYTES_MAX, `${Buffer.byteLength(text)} bytes`);
    assert.equal(text.split('<script>').length, 2);
    assert.equal(text.split('<style>').length, 2);
    assert.doesNotMatch(text, / style=|innerHTML|eval\(|https?:|\son[a-z]+=/);
}

const CHECKS = [
    ['one small file', oneSmallFile],
    ['from the number to the running node', theWholeWay],
    ['wrong codes and the lock-out', wrongCodes],
    ['every field that can be wrong', everyFieldThatIsWrong],
    ['problems that the node finds, and memory that refuses', problemsOfTheNode],
    ['reload and lost connection', reloadAndLostConnection],
    ['an answer that is lost', anAnswerThatIsLost],
    ['the session is over', theSessionIsOver],
    ['another installer is at work', anotherInstaller],
    ['another page of the same installer', anotherPage],
    ['meters that have consumed', fixedMeters],
    ['parked, fault, cancel', parkedAndFault],
    ['keyboard, labels, sizes', keyboardAndLabels],
    ['a customer types a token', tokenOfACustomer],
];

const reason = missing();
if (reason) {
    console.log(`skip: ${reason}`);
    process.exit(77);
}
const browser = await launchBrowser();
let failures = 0;
for (const check of CHECKS.filter(([name]) => name.includes(process.argv[2] ?? ''))) {
    const fake = await startFakeNode();
    failures += (await runCheck(browser, check, fake.url, { node: fake.node, fake })) ? 0 : 1;
    await fake.stop();
}
await browser.close();
process.exit(failures ? 1 : 0);
