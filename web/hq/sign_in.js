// SPDX-License-Identifier: Apache-2.0
// Signing in as an operator.

import { html, useEffect, useRef, useState } from './vendor/htm-preact.module.js';
import { visible } from './format.js';
import { forgetDrafts, TextField } from './forms.js';
import { Outside } from './parts.js';
import { linkTo } from './route.js';
import { session, useSession } from './session.js';

function reason(error) {
    if (error.status === 401) {
        return 'HQ does not know this token. It is the long line that "meshmeter operator add NAME" has shown.';
    }
    return `HQ could not check it: ${visible(error.message)}. Try again.`;
}

/** In the place of a view that needs an operator, or as a view of its own. */
export function SignIn({ why }) {
    const { notice, token, name } = useSession();
    const [typed, setTyped] = useState('');
    const [error, setError] = useState(null);
    const [busy, setBusy] = useState(false);
    const form = useRef(null);
    useEffect(() => {
        form.current?.querySelector('input')?.focus();
    }, []);
    const submit = async (event) => {
        event.preventDefault();
        const text = typed.trim();
        if (busy) {
            return;
        }
        if (!/^[\x21-\x7e]+$/.test(text)) {
            setError(text === '' ? 'Type the token.' : 'A token has no blanks and only plain letters and digits.');
            form.current?.querySelector('input')?.focus();
            return;
        }
        setBusy(true);
        try {
            await session.signIn(text);
            setTyped('');
            document.getElementById('main')?.focus({ preventScroll: true });
        } catch (cause) {
            setError(reason(cause));
            form.current?.querySelector('input')?.focus();
        } finally {
            setBusy(false);
        }
    };
    if (token !== null) {
        return html`<section class="panel padded-panel" aria-labelledby="sign-in-title">
            <h2 id="sign-in-title">Signed in</h2>
            <p role="status">As ${
                name === null ? 'an operator' : html`<strong><${Outside} text=${name} /></strong>`
            }.</p>
            <p class="buttons"><a class="button" href=${linkTo.commands()}>Commands</a> <a class="button"
                href=${linkTo.sell()}>Sell</a></p></section>`;
    }
    return html`<section class="panel padded-panel sign-in" aria-labelledby="sign-in-title">
        <h2 id="sign-in-title">Sign in</h2>
        <p role="alert" class="warn-text">${notice}</p>
        <p class="muted">${why ?? 'Meters and nodes are shown without it. Everything else needs it.'}</p>
        <form ref=${form} onSubmit=${submit} novalidate>
            <${TextField} id="token" type="password" label="Operator's token" value=${typed} error=${error}
                hint="It stays in this tab and goes to HQ only. Closing the tab signs out."
                onInput=${(text) => {
                    setTyped(text);
                    setError(null);
                }} />
            <div class="buttons"><button type="submit" class="primary" disabled=${busy}>${
                busy ? 'Asking HQ …' : 'Sign in'
            }</button></div>
        </form>
        <p class="hint">No token yet?
            On the machine of HQ: <code>meshmeter operator add NAME --database FILE</code> makes one and shows
            it once. A demo has one in <code>operator.token</code> of its state directory.</p>
    </section>`;
}

/** Who is signed in, for the head of the page. */
export function Account() {
    const { token, name } = useSession();
    if (token === null) {
        return html`<a class="account" href=${linkTo.signIn()}>Sign in</a>`;
    }
    return html`<span class="account"><span class="hidden">Signed in as </span><strong>${
        name === null ? 'operator' : html`<${Outside} text=${name} />`
    }</strong>
        <button type="button" class="quiet" onClick=${() => {
            forgetDrafts();
            session.signOut();
        }}>Sign out</button></span>`;
}
