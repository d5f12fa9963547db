// SPDX-License-Identifier: Apache-2.0
// The page's views for installers' codes and for installations, in a real browser against the fake HQ.
// MM_SCREENSHOTS names a folder for pictures of both views at two widths.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { parseNode, parseNumber } from '../../web/hq/installer_fields.js';
import { linkTo, parseRoute } from '../../web/hq/route.js';
import { HOSTILE_ID, OPERATOR_TOKEN, startFakeHq } from './fake_hq.mjs';
import { launchBrowser, missing, MODULES, runCheck, WAIT_MS, widthFits } from './lib/browser.mjs';

const SMALL = { width: 360, height: 740 };
const WAITING = '02:4d:4d:00:20:01';
const CONFLICTING = '02:4d:4d:00:20:02';
const KEYLESS = '02:4d:4d:00:20:03';
const REFUSED_ID = 3;
const JOINING = '02:4d:4d:00:30:01';
const ELSEWHERE = '02:4d:4d:00:30:02';
const ROOTLESS = '02:4d:4d:00:30:03';

function checkFields() {
    assert.equal(parseNumber('05546600'), 5546600);
    assert.equal(parseNumber(' 5546 600 '), 5546600);
    assert.equal(parseNumber('0'), 0);
    for (const wrong of ['', '123456789', '-1', '1.5', '12a', '٣', '1e3']) {
        assert.throws(() => parseNumber(wrong), RangeError, wrong);
    }
    assert.equal(parseNode(' 02:4D:4d:00:10:A1 '), '02:4d:4d:00:10:a1');
    for (const good of ['024d4d0010a1', '02-4d-4d-00-10-a1', '0010a1', '00:10:a1']) {
        assert.equal(parseNode(good), good);
    }
    for (const wrong of ['', '10a1', '0010ag', '02:4d:4d:00:10', '02:4d:4d:00:10:a1:00', 'flat-01']) {
        assert.equal(parseNode(wrong), null, wrong);
    }
    assert.equal(parseRoute(linkTo.installers()).view, 'installers');
    assert.equal(parseRoute(linkTo.installations()).view, 'installations');
    assert.equal(parseRoute('#/installations/1').view, 'overview');
}

const until = (page, condition, argument) => page.waitForFunction(condition, argument, { timeout: WAIT_MS });
const untilText = (page, selector, wanted) =>
    until(page, ([at, pattern]) => pattern.test(document.querySelector(at)?.textContent ?? ''), [selector, wanted]);
const textOf = (page, selector) => page.locator(selector).first().textContent();

async function openSignedIn(open, hash, viewport = undefined, prepare = null) {
    const page = await open('#/sign-in', prepare, viewport);
    await page.fill('#token', OPERATOR_TOKEN);
    await page.press('#token', 'Enter');
    await page.waitForSelector('.account button');
    await page.evaluate((to) => {
        location.hash = to;
    }, hash);
    return page;
}

async function fillCode(page, { caller = 'Ana, house 4', mac = '0010a2', number = '5546600' } = {}) {
    await page.waitForSelector('#code-number');
    await page.fill('#code-caller', caller);
    await page.fill('#code-mac', mac);
    await page.fill('#code-number', number);
}

const submit = (page) => page.press('#code-number', 'Enter');
const inCard = (page, node, selector) =>
    page.locator('article.installation').filter({ hasText: node }).locator(selector);
const inAsk = (page, node, selector) => page.locator('article.join').filter({ hasText: node }).locator(selector);

const namelessControls = (page) =>
    page.locator('main :is(input, select, button, a[href])').evaluateAll((controls) =>
        controls
            .filter((control) => !control.labels?.length && !control.ariaLabel && !control.textContent.trim())
            .map((control) => control.outerHTML),
    );

const CODES = [
    [
        'neither view shows anything without an operator',
        async ({ open }) => {
            const page = await open('#/installers');
            await page.waitForSelector('#token');
            assert.equal(await page.locator('#code-number, table').count(), 0);
            await page.evaluate(() => {
                location.hash = '#/installations';
            });
            await untilText(page, '.sign-in', /confirmed by operators/);
            assert.equal(await page.locator('article, table').count(), 0);
        },
    ],
    [
        'a code is shown large, in two groups, with its time, and goes with the next caller',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/installers');
            await fillCode(page);
            await submit(page);
            await page.waitForSelector('.code');
            const { number, mac } = { number: 5546600, mac: '02:4d:4d:00:10:a2' };
            const entry = hq.desk.commissioning.audit.at(-1);
            assert.equal(entry.detail, `node ${mac}, number ${number}, for Ana, house 4`);
            const groups = await page.locator('.code span').allTextContents();
            assert.deepEqual(
                groups.map((group) => group.length),
                [4, 4],
            );
            const given = [...hq.desk.commissioning.requests.values()].at(-1).body.code;
            assert.equal(groups.join(''), given);
            assert.ok((await page.locator('.code').evaluate((node) => parseFloat(getComputedStyle(node).fontSize))) > 40);
            await untilText(page, '.code-life', /Good for at most\s+9 min 5\d s/);
            assert.ok(await page.evaluate(() => document.activeElement.tagName === 'H3'), 'the code has the focus');
            await page.click('.code-given button >> text=Copy');
            await untilText(page, '.code-given [role=status]', /Copied|Selected/);
            await untilText(page, 'table.codes', /number 5546600, for Ana, house 4/);
            assert.ok(!(await textOf(page, 'table.codes')).includes(given), 'the list is without the code');
            await page.click('.code-given button >> text=Next caller');
            await page.waitForSelector('#code-number');
            assert.equal(await page.inputValue('#code-number'), '');
            assert.equal(await page.inputValue('#code-caller'), '');
            assert.equal(await page.locator('.code').count(), 0);
            assert.ok(!(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).includes(given));
        },
    ],
    [
        'a node that HQ knows can be picked',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/installers');
            await fillCode(page, { mac: '' });
            await page.fill('#code-known', '10:a3');
            await page.waitForSelector('[role=option]');
            await page.press('#code-known', 'Enter');
            assert.equal(await page.inputValue('#code-mac'), '02:4d:4d:00:10:a3');
            await submit(page);
            await page.waitForSelector('.code');
            assert.match(hq.desk.commissioning.audit.at(-1).detail, /^node 02:4d:4d:00:10:a3,/);
        },
    ],
    [
        'what is missing or wrong is told beside its field, what HQ refuses below the form',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/installers');
            await page.waitForSelector('#code-number');
            await submit(page);
            for (const field of ['caller', 'mac', 'number']) {
                await page.waitForSelector(`#code-${field}-error`);
            }
            assert.equal(hq.desk.commissioning.audit.length, 0);
            await fillCode(page, { mac: '00ffff' });
            await submit(page);
            await untilText(page, '.problem', /HQ refused:.*no key of this device/s);
            hq.desk.commissioning.codes_max = 0;
            await fillCode(page, { mac: '0010a1' });
            await submit(page);
            await untilText(page, '.problem', /limit of one operator; the next one at 12:34:56 UTC/);
            hq.desk.commissioning.codes_max = 30;
            await submit(page);
            await page.waitForSelector('.code');
        },
    ],
    [
        'an answer that is lost is asked for again and counts once',
        async ({ open, hq }) => {
            let lost = false;
            const page = await openSignedIn(open, '#/installers', undefined, (target) =>
                target.route('**/api/v1/codes', async (route) => {
                    if (lost) {
                        return route.fallback();
                    }
                    lost = true;
                    await route.fetch();
                    await route.abort('connectionreset');
                }),
            );
            await fillCode(page);
            await submit(page);
            await untilText(page, '.problem', /not known whether a code was given/);
            await page.click('form.compose button >> text=Send again');
            await page.waitForSelector('.code');
            assert.equal(hq.desk.commissioning.audit.length, 1);
        },
    ],
    [
        'a code whose time is over says so',
        async ({ open, hq }) => {
            hq.desk.commissioning.life_s = 2;
            const page = await openSignedIn(open, '#/installers');
            await fillCode(page);
            await submit(page);
            await untilText(page, '.code-life', /Its time is over/);
        },
    ],
];

const INSTALLING = [
    [
        'what waits stands first, with its place, its meters and its conflicts',
        async ({ open }) => {
            const page = await openSignedIn(open, '#/installations');
            await page.waitForSelector('article.installation');
            assert.equal(await page.locator('article.installation').count(), 3);
            const text = await inCard(page, WAITING, 'dl').textContent();
            assert.match(text, /Inés Quirós/);
            assert.match(text, /number 103, province 1, canton 14, parish 3, postal code 11403/);
            const rows = await inCard(page, WAITING, 'tbody tr').allTextContents();
            assert.equal(rows.length, 3);
            assert.match(rows[0].replace(/\s+/g, ' '), /1 ?flat-21 ?1.000 ?1.234\.567 ?yes/);
            assert.match(
                await inCard(page, CONFLICTING, '.conflicts').textContent(),
                /flat-01 is a meter of node 02:4d:4d:00:10:a2, too/,
            );
            assert.equal(await inCard(page, WAITING, '.conflicts').count(), 0);
            assert.ok(await inCard(page, KEYLESS, 'button.primary').isDisabled());
            assert.match(await inCard(page, KEYLESS, '.decide').textContent(), /no key of this node/);
            const history = await textOf(page, 'table.installations');
            assert.match(history, /flat-2 hangs on the wrong channel/);
            assert.match(history, /superseded/);
        },
    ],
    [
        'confirmed after a question, waiting until the node has answered',
        async ({ open, hq }) => {
            hq.desk.commissioning.holds = true;
            const page = await openSignedIn(open, '#/installations');
            await page.waitForSelector('article.installation');
            await inCard(page, WAITING, 'button.primary').click();
            await untilText(page, 'dialog', /runs with 3 meters as set up by\s+Inés Quirós/);
            await page.click('dialog button >> text=No, go back');
            assert.equal(hq.desk.commissioning.audit.length, 0);
            await inCard(page, WAITING, 'button.primary').click();
            await page.click('dialog .danger');
            await inCard(page, WAITING, '[role=status]').waitFor();
            assert.match(await inCard(page, WAITING, '[role=status]').textContent(), /On its way to the node/);
            assert.match(await inCard(page, WAITING, '.decision').textContent(), /Confirmed by alice/);
            assert.equal(await inCard(page, WAITING, 'button').count(), 0);
            hq.desk.commissioning.holds = false;
            await until(page, () => document.querySelectorAll('article.installation').length === 2);
            assert.match(await textOf(page, 'table.installations tbody tr'), /02:4d:4d:00:20:01.*confirmed/s);
        },
    ],
    [
        'a conflict is told again before it is confirmed',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/installations');
            await page.waitForSelector('article.installation');
            await inCard(page, CONFLICTING, 'button.primary').click();
            await untilText(page, 'dialog[open]', /Is this right\?.*flat-01 is a meter of node 02:4d:4d:00:10:a2, too/s);
            await page.keyboard.press('Escape');
            await page.waitForSelector('dialog', { state: 'detached' });
            assert.equal(hq.desk.commissioning.audit.length, 0);
        },
    ],
    [
        'refused with a reason, and confirmed after all',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/installations');
            await page.waitForSelector('article.installation');
            await inCard(page, WAITING, 'button >> text=Refuse').click();
            await page.click('dialog .danger');
            await page.waitForSelector('#refuse-reason-error');
            await page.fill('#refuse-reason', 'flat-21 is on the 2nd floor');
            await page.click('dialog .danger');
            await until(page, () => document.querySelectorAll('article.installation').length === 2);
            const item = hq.desk.commissioning.installations.find(({ node }) => node === WAITING);
            assert.deepEqual([item.state, item.reason], ['refused', 'flat-21 is on the 2nd floor']);
            const row = `tr[data-installation="${item.id}"]`;
            await untilText(page, row, /Refused by alice.*flat-21 is on the 2nd floor/s);
            await page.click(`${row} button >> text=Confirm after all`);
            await page.click('dialog .danger');
            await untilText(page, row, /Confirmed by alice/);
            assert.equal(await page.locator(`tr[data-installation="${REFUSED_ID}"] button`).count(), 1);
        },
    ],
    [
        'what HQ refuses is told beside its installation',
        async ({ open, hq }) => {
            const page = await openSignedIn(open, '#/installations');
            await page.waitForSelector('article.installation');
            const item = hq.desk.commissioning.installations.find(({ node }) => node === WAITING);
            await inCard(page, WAITING, 'button.primary').click();
            item.has_key = false;
            await page.click('dialog .danger');
            await inCard(page, WAITING, '.problem').waitFor();
            assert.match(await inCard(page, WAITING, '.problem').textContent(), /HQ refused:.*no key/s);
        },
    ],
    [
        'sites that confirm by rule are named',
        async ({ open, hq }) => {
            hq.desk.commissioning.rules = ['house4'];
            const page = await openSignedIn(open, '#/installations');
            await untilText(page, '[aria-labelledby=waiting-title] .panel-head', /HQ confirms by itself what is clear at\s+house4/);
        },
    ],
    [
        'nodes that want to join stand first, what nobody has proved apart and closed',
        async ({ open }) => {
            const page = await openSignedIn(open, '#/installations');
            await page.waitForSelector('article.join');
            assert.equal(await page.locator('article.join').count(), 3);
            assert.match(await inAsk(page, JOINING, 'dl').textContent(), /house4.*none yet/s);
            assert.match(await inAsk(page, ELSEWHERE, '.conflicts').textContent(), /belongs to site house7/);
            assert.equal(await inAsk(page, JOINING, '.conflicts').count(), 0);
            assert.ok(await inAsk(page, ROOTLESS, 'button.primary').isDisabled());
            assert.match(await inAsk(page, ROOTLESS, '.decide').textContent(), /no key of the gateway/);
            assert.match(await inAsk(page, ROOTLESS, 'dl').textContent(), /an older one than the gateway/);
            assert.ok(!(await page.locator('#joins-unproved table').isVisible()));
            await page.click('#joins-unproved summary');
            const text = await textOf(page, '#joins-unproved');
            assert.match(text, /Without a proof: 2/);
            assert.match(text, /1.234 older ones were dropped/);
            assert.match(text, /02:4d:4d:00:30:04.*HQ has no key of this device/s);
            assert.equal(await page.locator('#joins-unproved button').count(), 0);
            assert.match(await textOf(page, '#joins-decided'), /not in our list/);
        },
    ],
    [
        'a node is admitted after a question, and is so when the gateway has answered',
        async ({ open, hq }) => {
            hq.desk.joins.holds = true;
            const page = await openSignedIn(open, '#/installations');
            await page.waitForSelector('article.join');
            await inAsk(page, ELSEWHERE, 'button.primary').click();
            await untilText(page, 'dialog[open]', /Is this right\?.*belongs to site house7.*one site only/s);
            await page.keyboard.press('Escape');
            await page.waitForSelector('dialog', { state: 'detached' });
            assert.equal(hq.desk.commissioning.audit.length, 0);
            await inAsk(page, JOINING, 'button.primary').click();
            await untilText(page, 'dialog[open]', /gets the network of site house4/);
            await page.click('dialog .danger');
            await inAsk(page, JOINING, '[role=status]').waitFor();
            assert.match(await inAsk(page, JOINING, '.decision').textContent(), /Admitted by alice/);
            assert.equal(await inAsk(page, JOINING, 'button').count(), 0);
            hq.desk.joins.holds = false;
            await until(page, () => document.querySelectorAll('article.join').length === 2);
            await untilText(page, '#joins-decided', /02:4d:4d:00:30:01.*admitted/s);
        },
    ],
    [
        'a node is refused with a reason, and admitted after all',
        async ({ open, hq }) => {
            hq.desk.joins.rules = ['house4'];
            const page = await openSignedIn(open, '#/installations');
            await untilText(page, '[aria-labelledby=joins-title] .panel-head', /HQ admits by itself.*house4/s);
            await inAsk(page, JOINING, 'button >> text=Refuse').click();
            await page.fill('#refuse-reason', 'of the neighbours');
            await page.click('dialog .danger');
            await until(page, () => document.querySelectorAll('article.join').length === 2);
            const item = hq.desk.joins.list.find(({ device, reason }) => device === JOINING && reason !== '');
            assert.deepEqual([item.state, item.reason], ['refused', 'of the neighbours']);
            await page.click('#joins-decided summary');
            await page.click(`tr[data-join="${item.id}"] button >> text=Admit after all`);
            await page.click('dialog .danger');
            await untilText(page, `[data-join="${item.id}"] .decision`, /Admitted by alice/);
        },
    ],
    [
        'both views on a small phone and a desktop, every control with a name',
        async ({ open }) => {
            for (const viewport of [SMALL, { width: 1280, height: 900 }]) {
                const page = await openSignedIn(open, '#/installers', viewport);
                const shoot = async (name) => {
                    if (process.env.MM_SCREENSHOTS) {
                        const path = join(process.env.MM_SCREENSHOTS, `${name}-${viewport.width}.png`);
                        await page.screenshot({ path, fullPage: true });
                    }
                };
                await page.waitForSelector('#code-number');
                assert.ok(await widthFits(page));
                assert.deepEqual(await namelessControls(page), []);
                await submit(page);
                await page.waitForSelector('#code-number-error');
                await shoot('installers-form');
                await fillCode(page);
                await submit(page);
                await page.waitForSelector('.code');
                await page.waitForSelector('table.codes');
                assert.ok(await widthFits(page));
                assert.deepEqual(await namelessControls(page), []);
                await shoot('installers-code');
                await page.evaluate(() => {
                    location.hash = '#/installations';
                });
                await page.waitForSelector('article.installation');
                assert.ok(await widthFits(page));
                assert.deepEqual(await namelessControls(page), []);
                await page.click('#joins-decided summary');
                await page.click('#joins-unproved summary');
                assert.ok(await widthFits(page));
                await shoot('installations');
                await inCard(page, CONFLICTING, 'button.primary').click();
                await page.waitForSelector('dialog');
                assert.ok(await widthFits(page));
                await shoot('installations-question');
                assert.equal(await page.locator('main [style], #app script').count(), 0);
            }
        },
    ],
    [
        'hostile texts stay texts',
        async ({ open, dialogs }) => {
            const page = await openSignedIn(open, '#/installations', SMALL);
            await until(page, (id) => document.querySelector('main').textContent.includes(id), HOSTILE_ID);
            assert.ok(await widthFits(page));
            await inCard(page, WAITING, 'button.primary').click();
            await until(page, (id) => document.querySelector('dialog').textContent.includes(id), HOSTILE_ID);
            await page.keyboard.press('Escape');
            await page.evaluate(() => {
                location.hash = '#/installers';
            });
            await fillCode(page, { caller: HOSTILE_ID });
            await submit(page);
            await until(page, (id) => document.querySelector('table.codes')?.textContent.includes(id), HOSTILE_ID);
            assert.ok(await widthFits(page));
            assert.equal(await page.evaluate(() => window.pwned), undefined);
            assert.equal(await page.locator('#app script, #app img:not(.brand img)').count(), 0);
            assert.deepEqual(dialogs, []);
        },
    ],
    [
        'nothing installed, nothing given',
        async ({ open }) => {
            const page = await openSignedIn(open, '#/installations');
            await untilText(page, 'main', /None\.[\s\S]*Nothing yet/);
            await page.evaluate(() => {
                location.hash = '#/installers';
            });
            await untilText(page, 'main', /None of the last 200 entries is a code/);
        },
        { empty: true },
    ],
];

async function main() {
    checkFields();
    console.log('ok   checkFields');
    const reason = missing();
    if (reason) {
        console.log(`skipped: ${reason}`);
        return 77;
    }
    const wanted = process.argv[2] ?? '';
    const checks = [...CODES, ...INSTALLING].filter(([name]) => name.includes(wanted));
    const browser = await launchBrowser();
    let failed = 0;
    try {
        for (const check of checks) {
            const hq = await startFakeHq({
                modules: MODULES,
                extremes: check[0].startsWith('hostile'),
                empty: check[2]?.empty ?? false,
            });
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
