// SPDX-License-Identifier: Apache-2.0
// A small node that makes its answers up: serves the node's own page and the API of docs/spec/configurator.md, without
// meters. For working on the page (node tests/e2e/fake_node.mjs [--port N]) and for the page's test. The code that opens
// it is always 462b1e82.

import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const PAGE = join(REPOSITORY, 'web/node/index.html');
export const GOOD_CODE = '462b1e82';
const SESSION_S = 600;

const digest = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** The policy that ports/linux/linux_configurator.c sends with this page. */
export function policyOf(page) {
    const between = (begin, end) => page.split(begin)[1].split(end)[0];
    return (
        `default-src 'none'; script-src ${digest(between('<script>', '</script>'))}; ` +
        `style-src ${digest(between('<style>', '</style>'))}; connect-src 'self'; img-src data:; base-uri 'none'; ` +
        "form-action 'none'; frame-ancestors 'none'"
    );
}

const emptyChannel = () => ({
    meter_id: '',
    pulse_constant: 0,
    start_wh: 0,
    prepaid: false,
    warning_wh: 0,
    emergency_wh: 0,
    fixed: false,
});

export class FakeNode {
    constructor(options = {}) {
        this.phase = options.phase ?? 'provisioned';
        this.number = 5546600;
        this.numberUntil = Date.now() + 600000;
        this.lockedUntil = 0;
        this.session = null; // {nonce, until}
        this.sessionCode = null; // that began it
        this.wrong = 0;
        this.failStorage = false;
        this.problems = []; // of the next POST, then forgotten
        this.requests = [];
        this.stored = null;
        this.repeat = null; // {nonce, request, answer} of the last request of a session
        this.dropAnswer = false; // of the next POST: carried out, the answer is lost
        this.values = {
            revision: 0,
            node_no: 0,
            province: 0,
            canton: 0,
            parish: 0,
            postal_code: 0,
            address: '',
            installer: '',
            router_name: '',
            channels: Array.from({ length: 8 }, emptyChannel),
            ...options.values,
        };
    }

    begin(seconds = SESSION_S) {
        this.session = { nonce: randomBytes(16).toString('hex'), until: Date.now() + seconds * 1000 };
        return this.session;
    }

    sessionLeft() {
        return this.session ? Math.max(0, Math.ceil((this.session.until - Date.now()) / 1000)) : 0;
    }

    state() {
        if (this.sessionLeft() === 0) {
            this.session = null;
        }
        return {
            phase: this.session && this.phase !== 'fault' ? 'configuring' : this.phase,
            mac: '02:6d:6d:00:00:03',
            ...(this.phase === 'parked' || this.phase === 'fault'
                ? {}
                : {
                      site: 'house4',
                      number: this.number,
                      number_left_s: Math.max(0, Math.ceil((this.numberUntil - Date.now()) / 1000)),
                  }),
            wait_s: Math.max(0, Math.ceil((this.lockedUntil - Date.now()) / 1000)),
            ...(this.values.revision > 0 ? { revision: this.values.revision } : {}),
            session: this.session !== null,
            prepaid: this.prepaid ?? [],
            ...(this.session ? { session_left_s: this.sessionLeft() } : {}),
        };
    }

    judge(form) {
        const code = form.get('code') ?? '';
        const wait_s = this.state().wait_s;
        if (wait_s > 0) {
            return [429, { verdict: 'locked_out', wait_s }];
        }
        if (this.session && code !== this.sessionCode) {
            return [409, { verdict: 'busy', wait_s: this.sessionLeft() }];
        }
        if (code !== GOOD_CODE) {
            this.wrong++;
            if (this.wrong === 5) {
                this.wrong = 0;
                this.number = 53659506;
                this.lockedUntil = Date.now() + 3000;
            }
            return [403, { verdict: 'wrong', wait_s: this.state().wait_s }];
        }
        this.sessionCode = code;
        return [200, { nonce: this.begin().nonce, session_left_s: this.sessionLeft() }];
    }

    next() {
        return { nonce: this.begin().nonce, session_left_s: this.sessionLeft() };
    }

    take(form) {
        if (this.problems.length > 0) {
            const problems = this.problems;
            this.problems = [];
            return [422, { ...this.next(), problems }];
        }
        if (this.failStorage) {
            return [503, { ...this.next(), error: 'storage' }];
        }
        this.stored = Object.fromEntries(form);
        this.session = null;
        this.phase = 'awaiting';
        this.values.revision++;
        return [200, { revision: this.values.revision, ...(form.has('router_name') ? { router: 'refused' } : {}) }];
    }

    answer(method, path, nonce, form) {
        if (method === 'GET' && path === '/api/state') {
            return [200, this.state()];
        }
        if (method === 'POST' && path === '/api/code') {
            return this.judge(form);
        }
        if (method === 'POST' && path === '/api/token') {
            const right = form.get('meter') === 'flat-2' && form.get('digits') === '588 224 011' && !this.tokenUsed;
            this.tokenUsed ||= right;
            return right
                ? [200, { verdict: 'accepted', wait_s: 0, credit_wh: 5000, balance_wh: 4210 }]
                : [403, { verdict: form.get('digits') === '588 224 011' ? 'used' : 'wrong', wait_s: 60 }];
        }
        const given = method === 'GET' ? nonce : form.get('nonce');
        if (path !== '/api/configuration' && path !== '/api/cancel') {
            return [404, { error: 'no such page' }];
        }
        this.state();
        const request = `${method} ${path} ${form}`;
        if (!this.session || given !== this.session.nonce) {
            const isAgain = this.repeat?.nonce === given && this.repeat.request === request;
            return isAgain ? this.repeat.answer : [403, { error: 'no session with this nonce' }];
        }
        const answer = this.serve(method, path, form);
        this.repeat = { nonce: given, request, answer };
        return answer;
    }

    serve(method, path, form) {
        if (path === '/api/cancel') {
            this.session = null;
            return [200, { cancelled: true }];
        }
        return method === 'GET' ? [200, { ...this.next(), ...this.values }] : this.take(form);
    }
}

/** Serves on 127.0.0.1 (port 0: a free one). Resolves to {url, node, stop, restart}. */
export async function startFakeNode(options = {}) {
    const page = await readFile(PAGE, 'utf8');
    const policy = policyOf(page);
    const node = new FakeNode(options);
    const handle = async (request, response) => {
        const chunks = [];
        for await (const chunk of request) {
            chunks.push(chunk);
        }
        const body = Buffer.concat(chunks).toString('utf8');
        node.requests.push({ method: request.method, url: request.url, body, nonce: request.headers['x-nonce'] });
        if (request.url === '/') {
            response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': policy });
            response.end(page);
            return;
        }
        const [status, json] = node.answer(
            request.method,
            request.url,
            request.headers['x-nonce'],
            new URLSearchParams(body),
        );
        if (node.dropAnswer && request.method === 'POST') {
            node.dropAnswer = false;
            request.socket.destroy();
            return;
        }
        response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
        response.end(JSON.stringify(json));
    };
    let server = null;
    let port = options.port ?? 0;
    const listen = () =>
        new Promise((done) => {
            server = createServer(handle).listen(port, '127.0.0.1', () => {
                port = server.address().port;
                done();
            });
        });
    const stop = () =>
        new Promise((done) => {
            server.close(done);
            server.closeAllConnections();
        });
    await listen();
    return { url: `http://127.0.0.1:${port}/`, node, stop, restart: listen };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const at = process.argv.indexOf('--port');
    const { url } = await startFakeNode({ port: at > 0 ? Number(process.argv[at + 1]) : 8090 });
    console.log(`${url}  code ${GOOD_CODE}`);
}
