// SPDX-License-Identifier: Apache-2.0
// Who uses the page: nobody in particular, or an operator by the token that HQ gave him. The token lives as long as the
// tab (sessionStorage) and goes nowhere but to HQ's API.

import { useEffect, useState } from './vendor/htm-preact.module.js';
import { ApiError, get, setOperator } from './api.js';

const STORED = 'meshmeter.operator';
const RETRY_MS = 5000;

function stored() {
    try {
        return sessionStorage.getItem(STORED);
    } catch {
        return null; // storage is switched off
    }
}

function store(token) {
    try {
        if (token === null) {
            sessionStorage.removeItem(STORED);
        } else {
            sessionStorage.setItem(STORED, token);
        }
    } catch {
        // Then the sign-in lasts as long as the page.
    }
}

/** token: what HQ gets, null = nobody. name: null until HQ has told it. notice: why a sign-in ended. */
class Session {
    state = { token: null, name: null, notice: null };
    #listeners = new Set();
    #timer = undefined;

    resume() {
        const token = stored();
        if (token !== null && this.state.token === null) {
            this.#set({ token, name: null, notice: null });
            this.#learnName(token);
        }
    }

    /** Resolves when HQ knows the token; rejects with ApiError, and nothing is kept. */
    async signIn(token) {
        setOperator(token, () => {}); // a wrong token is told beside the field
        try {
            const { name } = await get('operator', {}, undefined, true);
            store(token);
            this.#set({ token, name: String(name ?? ''), notice: null });
        } catch (error) {
            setOperator(null, () => {});
            throw error;
        }
    }

    signOut(notice = null) {
        clearTimeout(this.#timer);
        store(null);
        this.#set({ token: null, name: null, notice });
    }

    forgetNotice() {
        if (this.state.notice !== null) {
            this.#set({ ...this.state, notice: null });
        }
    }

    listen(listener) {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    }

    #set(state) {
        this.state = state;
        setOperator(state.token, () =>
            this.signOut(
                state.token === null
                    ? 'HQ shows this to operators only. Sign in.'
                    : 'HQ does not accept your token any more: the operator was removed, or HQ has another database. ' +
                          'Sign in again.',
            ),
        );
        this.#listeners.forEach((listener) => listener(state));
    }

    async #learnName(token) {
        try {
            const { name } = await get('operator', {}, undefined, true);
            if (this.state.token === token) {
                this.#set({ ...this.state, name: String(name ?? '') });
            }
        } catch (error) {
            if (this.state.token === token && error instanceof ApiError && error.status !== 401) {
                this.#timer = setTimeout(() => this.#learnName(token), RETRY_MS);
            }
        }
    }
}

export const session = new Session();

export function useSession() {
    const [state, setState] = useState(session.state);
    useEffect(() => {
        setState(session.state);
        return session.listen(setState);
    }, []);
    return state;
}

/** A number for one form: the same for every attempt to send it, so that HQ does it once. */
export function newRequestId() {
    if (crypto.randomUUID) {
        return crypto.randomUUID();
    }
    // Browsers keep randomUUID from pages that came over plain HTTP.
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
