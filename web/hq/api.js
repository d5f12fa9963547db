// SPDX-License-Identifier: Apache-2.0
// HQ's API, and the feed that keeps the page up to date.

const BASE = './api/v1/';
const TIMEOUT_MS = 5000;
const TIMEOUT_CHANGE_MS = 10000;
const PERIOD_MS = 2000;
const PERIOD_HIDDEN_MS = 15000;
const BACK_OFF_MAX_MS = 15000;

/** JSON.parse rounds integers beyond 2^53. Here they become texts of digits, which format.js takes exactly. */
export function parseExact(text) {
    return JSON.parse(
        text.replace(/"(?:[^"\\]|\\.)*"|-?\d{16,}(?![\d.eE])/g, (token) =>
            token.startsWith('"') ? token : `"${token}"`,
        ),
    );
}

/** A request that failed. `status`: of HQ's answer; 0 if there was none. */
export class ApiError extends Error {
    constructor(message, status) {
        super(message);
        this.name = 'ApiError';
        this.status = status;
    }
}

/** The operator's token, from session.js: sent with what asks for it. */
let token = null;
let onUnauthorized = () => {};

export function setOperator(newToken, whenRefused) {
    token = newToken;
    onUnauthorized = whenRefused;
}

function headersFor(body, asOperator) {
    const headers = { Accept: 'application/json' };
    if (asOperator && token !== null) {
        headers.Authorization = `Bearer ${token}`;
    }
    if (body !== undefined) {
        headers['Content-Type'] = 'application/json';
    }
    return headers;
}

/** One request, whatever becomes of it: {status, answer}, or ApiError, or AbortError if `signal` said so. */
async function exchange(path, { body, asOperator, timeout_ms, signal }) {
    const timeout = new AbortController();
    const abort = () => timeout.abort();
    const timer = setTimeout(abort, timeout_ms);
    const usedToken = asOperator ? token : null;
    signal?.addEventListener('abort', abort);
    try {
        signal?.throwIfAborted();
        const response = await fetch(`${BASE}${path}`, {
            method: body === undefined ? 'GET' : 'POST',
            body: body === undefined ? undefined : JSON.stringify(body),
            signal: timeout.signal,
            cache: 'no-store',
            headers: headersFor(body, asOperator),
        });
        const text = await response.text();
        if (response.status === 401 && usedToken === token) {
            onUnauthorized();
        }
        let answer;
        try {
            answer = parseExact(text);
        } catch {
            throw new ApiError(`HQ's answer to ${path} is not JSON (HTTP status ${response.status})`, response.status);
        }
        if (!response.ok) {
            throw new ApiError(
                typeof answer?.error === 'string' ? answer.error : `HTTP status ${response.status}`,
                response.status,
            );
        }
        return { status: response.status, answer };
    } catch (error) {
        if (error instanceof ApiError) {
            throw error;
        }
        if (signal?.aborted) {
            throw new DOMException('given up', 'AbortError');
        }
        throw new ApiError(timeout.signal.aborted ? `no answer within ${timeout_ms / 1000} s` : 'no connection', 0);
    } finally {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
    }
}

/** GET one resource. Rejects with ApiError, or with AbortError if `signal` said so. */
export async function get(path, parameters = {}, signal = undefined, asOperator = false) {
    const query = new URLSearchParams(
        Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null),
    );
    const whole = `${path}${query.size ? `?${query}` : ''}`;
    return (await exchange(whole, { asOperator, timeout_ms: TIMEOUT_MS, signal })).answer;
}

/**
 * POST a change. {answer, repeated}: HQ had it already under this request id. An ApiError of status 0 or 5xx leaves
 * open what HQ did: the same request id may be sent again, nothing happens twice.
 */
export async function post(path, body) {
    const { status, answer } = await exchange(path, { body, asOperator: true, timeout_ms: TIMEOUT_CHANGE_MS });
    return { answer, repeated: status === 200 };
}

/** The list `name` of a resource of the same name. */
export async function getList(name, parameters, signal, asOperator = false) {
    const answer = await get(name, parameters, signal, asOperator);
    if (!Array.isArray(answer?.[name])) {
        throw new ApiError(`HQ's answer to ${name} has no list "${name}"`, 200);
    }
    return answer[name];
}

const byMeter = (left, right) => compare(left.node, right.node) || left.channel - right.channel;
const compare = (left, right) => (left < right ? -1 : left > right ? 1 : 0);

/**
 * Asks HQ every two seconds; slower when it does not answer or nobody looks. One request round at a time.
 * `state` is replaced as a whole, and `onChange` called, after every round.
 */
export class Feed {
    #selection = { site: null, node: null };
    #controller = null;
    #timer = undefined;
    #failures = 0;
    #nodeSites = new Map();
    #goodAt = null;
    #isStarted = false;

    constructor(onChange) {
        this.onChange = onChange;
        /** data: null until the first answer. failure: null while HQ answers. revision: of the data. */
        this.state = { data: null, failure: null, revision: 0 };
        this.startedAt = Date.now();
    }

    start() {
        this.#isStarted = true;
        document.addEventListener('visibilitychange', this.#wake);
        window.addEventListener('online', this.#wake);
        this.refresh();
    }

    stop() {
        this.#isStarted = false;
        document.removeEventListener('visibilitychange', this.#wake);
        window.removeEventListener('online', this.#wake);
        clearTimeout(this.#timer);
        this.#controller?.abort();
        this.#controller = null;
    }

    /** What to show: a site, or the site that `node` belongs to; nulls for HQ's first site. */
    select(site, node) {
        if (site === this.#selection.site && node === this.#selection.node) {
            return;
        }
        this.#selection = { site, node };
        const known = node === null ? site : this.#nodeSites.get(node);
        if (this.#isStarted && known !== this.state.data?.site) {
            this.refresh();
        }
    }

    refresh() {
        clearTimeout(this.#timer);
        this.#controller?.abort();
        this.#controller = new AbortController();
        this.#round(this.#controller.signal);
    }

    #wake = () => {
        if (!document.hidden) {
            this.refresh();
        }
    };

    async #round(signal) {
        try {
            const data = await this.#load(signal);
            this.#failures = 0;
            this.#goodAt = Date.now();
            this.state = { data, failure: null, revision: this.state.revision + 1 };
            this.#plan(document.hidden ? PERIOD_HIDDEN_MS : PERIOD_MS);
        } catch (error) {
            if (signal.aborted) {
                return;
            }
            if (!(error instanceof ApiError)) {
                console.error(error);
            }
            this.#failures += 1;
            // Jitter: the pages of a control room must not all come back in the same instant.
            const delay_ms =
                Math.min(PERIOD_MS * 2 ** (this.#failures - 1), BACK_OFF_MAX_MS) * (0.8 + 0.4 * Math.random());
            this.state = {
                ...this.state,
                failure: {
                    reached: error.status > 0,
                    message: error.message,
                    sinceMs: this.#goodAt ?? this.startedAt,
                    everReached: this.#goodAt !== null,
                    nextMs: Date.now() + delay_ms,
                },
            };
            this.#plan(delay_ms);
        }
        this.onChange(this.state);
    }

    #plan(delay_ms) {
        this.#timer = setTimeout(() => this.refresh(), delay_ms);
    }

    async #load(signal) {
        const [status, sites] = await Promise.all([get('status', {}, signal), getList('sites', {}, signal)]);
        const receivedMs = performance.now();
        const site = await this.#site(sites, signal);
        const [nodes, meters] =
            site === null
                ? [[], []]
                : await Promise.all([getList('nodes', { site }, signal), getList('meters', { site }, signal)]);
        for (const node of nodes) {
            this.#nodeSites.set(node.mac, site);
        }
        nodes.sort((left, right) => compare(left.mac, right.mac));
        meters.sort(byMeter);
        sites.sort((left, right) => compare(left.site, right.site));
        return { status, receivedMs, sites, site, nodes, meters };
    }

    async #site(sites, signal) {
        const { site, node } = this.#selection;
        let wanted = site;
        if (node !== null) {
            if (!this.#nodeSites.has(node)) {
                const meters = await this.#metersOf(node, signal);
                if (meters.length > 0) {
                    this.#nodeSites.set(node, meters[0].site);
                }
            }
            wanted = this.#nodeSites.get(node) ?? site;
        }
        const known = sites.map((entry) => entry.site);
        return known.includes(wanted) ? wanted : (known.sort()[0] ?? null);
    }

    /**
     * The node comes from the address, so it may be anything: that HQ refuses it must not stop the rest of the page.
     */
    async #metersOf(node, signal) {
        try {
            return await getList('meters', { node }, signal);
        } catch (error) {
            if (error instanceof ApiError && error.status >= 400 && error.status < 500) {
                return [];
            }
            throw error;
        }
    }
}
