// SPDX-License-Identifier: Apache-2.0
// Codes for installers: somebody reads a number from a node's display on the phone, and gets the code that opens its page.

import { html, useEffect, useRef, useState } from './vendor/htm-preact.module.js';
import { getList } from './api.js';
import { useWorld } from './compose.js';
import { formatDuration, visible } from './format.js';
import { Chooser, Problem, TextField, useChange, useFocusOnError } from './forms.js';
import { parseNode, parseNumber } from './installer_fields.js';
import { At } from './orders.js';
import { Outside } from './parts.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';
import { newRequestId } from './session.js';

const CALLER_BYTES_MAX = 80;
const LISTED = 200;

const emptyDraft = () => ({ request: newRequestId(), known: '', mac: '', number: '', caller: '' });

function judge(draft) {
    const errors = {};
    const body = { request: draft.request };
    body.mac = parseNode(draft.mac);
    if (body.mac === null) {
        errors.mac = 'Choose a node, or type its address or the last 6 digits of it.';
    }
    try {
        body.number = parseNumber(draft.number);
    } catch (error) {
        errors.number = error.message;
    }
    body.caller = draft.caller.trim();
    if (body.caller === '' || new TextEncoder().encode(body.caller).length > CALLER_BYTES_MAX) {
        errors.caller = 'Who calls, and from where: it is written down.';
    }
    return { body, errors, isComplete: Object.keys(errors).length === 0 };
}

function useSecondsLeft(given) {
    const left = () =>
        given === null ? 0 : Math.max(0, given.expires_s - Math.floor((performance.now() - given.atMs) / 1000));
    const [, setCount] = useState(0);
    useEffect(() => {
        if (given === null) {
            return undefined;
        }
        const timer = setInterval(() => setCount((count) => count + 1), 1000);
        return () => clearInterval(timer);
    }, [given]);
    return left();
}

async function copyText(text, field) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        // Pages that came over plain HTTP have no clipboard: select it, so that one key copies it.
        const range = document.createRange();
        range.selectNodeContents(field);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        return false;
    }
}

function Code({ given, onDone }) {
    const [copied, setCopied] = useState('');
    const field = useRef(null);
    const heading = useRef(null);
    const left_s = useSecondsLeft(given);
    useEffect(() => heading.current?.focus(), [given]);
    const code = String(given.code);
    const copy = async () => {
        const done = await copyText(code, field.current);
        setCopied(done ? 'Copied.' : 'Selected: copy it with Ctrl+C.');
    };
    return html`<div class=${`code-given ${left_s === 0 ? 'is-over' : ''}`}>
        <h3 ref=${heading} tabindex="-1">Code for node <span class="mac">${visible(given.node)}</span></h3>
        <p class="code" translate="no" ref=${field} aria-label=${[...code].join(' ')}><span>${code.slice(0, 4)}</span>
            <span>${code.slice(4)}</span></p>
        <p class="code-life">${
            left_s > 0
                ? html`Good for at most <strong>${formatDuration(left_s)}</strong>, or until the display shows another
                  number.`
                : html`<strong>Its time is over.</strong> Ask for the number that the display shows now.`
        }</p>
        <div class="buttons"><button type="button" onClick=${copy}>Copy</button>
            <button type="button" onClick=${onDone}>Next caller</button>
            <span role="status" class="muted">${copied}</span></div>
    </div>`;
}

function CodeForm({ nodes, onGiven }) {
    const [draft, setDraft] = useState(emptyDraft);
    const [shownErrors, setShownErrors] = useState(false);
    const [form, focusOnError] = useFocusOnError();
    const { sending, problem, send, forget } = useChange();
    const judged = judge(draft);
    const errors = shownErrors ? judged.errors : {};
    // Another content is another request; the same one sent again is the same.
    const edit = (part) => {
        forget();
        setDraft({ ...draft, ...part, request: newRequestId() });
    };
    const submit = async (event) => {
        event.preventDefault();
        setShownErrors(true);
        if (!judged.isComplete) {
            focusOnError();
            return;
        }
        const done = await send('codes', judged.body);
        if (done) {
            onGiven({ ...done.answer, atMs: performance.now() });
        }
    };
    const items = nodes.map((node) => ({
        key: node.mac,
        text: node.mac,
        detail: `site ${visible(node.site)}`,
    }));
    return html`<form ref=${form} class="compose padded" onSubmit=${submit} novalidate
        aria-labelledby="installers-title">
        <div class="fields">
            <${TextField} id="code-caller" label="Who calls, and from where" value=${draft.caller}
                error=${errors.caller} hint="It is written to the audit log." maxlength="80"
                onInput=${(caller) => edit({ caller })} />
            <${TextField} id="code-mac" label="Node's address" value=${draft.mac} error=${errors.mac}
                hint="From its label; the 6 digits in the name of its own network will do."
                onInput=${(mac) => edit({ mac, known: '' })} />
            <${Chooser} id="code-known" label="Or a node that HQ knows" items=${items} value=${draft.known}
                nothing="No node's address or site contains this."
                onChange=${(known) => edit({ known, mac: known === '' ? draft.mac : known })} />
            <${TextField} id="code-number" label="Number on the display" value=${draft.number} error=${errors.number}
                inputmode="numeric" onInput=${(number) => edit({ number })} />
        </div>
        <p class="sentence">Ask who it is before you read out a code: it opens the node for whoever stands before it.</p>
        <div class="buttons"><button type="submit" class="primary" disabled=${sending}>${
            sending ? 'Asking HQ …' : problem?.isOpen ? 'Send again' : 'Show the code'
        }</button></div>
        <${Problem} problem=${problem} what="a code was given" />
    </form>`;
}

function Given({ tz, revision, again }) {
    const { value, error } = useResource(
        async (signal) =>
            (await getList('audit', { limit: LISTED }, signal, true)).filter(({ action }) => action === 'code'),
        'audit',
        [Math.floor(revision / 5), again],
    );
    return html`<section class="panel" aria-labelledby="given-title">
        <div class="panel-head"><h2 id="given-title">Codes given</h2>
            <p class="muted">From the audit log, newest first. The codes themselves are kept nowhere.</p></div>
        ${value === null && html`<div class="padded"><${Loading} error=${error} /></div>`}
        ${value?.length === 0 && html`<p class="empty">None of the last ${LISTED} entries is a code.</p>`}
        ${
            value?.length > 0 &&
            html`<div class="padded"><table role="table" class="stack codes" aria-labelledby="given-title">
            <thead role="rowgroup"><tr role="row">${['Given', 'By', 'What'].map(
                (name) => html`<th role="columnheader" scope="col" key=${name}>${name}</th>`,
            )}</tr></thead>
            <tbody role="rowgroup">${value.map(
                (entry) => html`<tr role="row" key=${entry.id}>
                <td role="cell" data-label="Given" class="nowrap"><${At} at_s=${entry.at} tz=${tz} /></td>
                <td role="cell" data-label="By"><${Outside} text=${entry.operator} /></td>
                <td role="cell" data-label="What" class="wide"><${Outside} text=${entry.detail} /></td></tr>`,
            )}</tbody></table></div>`
        }
    </section>`;
}

export function Installers({ tz, revision }) {
    const world = useWorld(revision);
    const [given, setGiven] = useState(null);
    const [count, setCount] = useState(0);
    const give = (answer) => {
        setGiven(answer);
        setCount(count + 1);
    };
    return html`<section class="panel" aria-labelledby="installers-title">
        <div class="panel-head"><h2 id="installers-title">Installers</h2></div>
        ${world.value === null && html`<div class="padded"><${Loading} error=${world.error} /></div>`}
        ${
            world.value !== null &&
            given === null &&
            html`<${CodeForm} nodes=${world.value.nodes ?? []} onGiven=${give} />`
        }
        ${given !== null && html`<div class="padded"><${Code} given=${given} onDone=${() => setGiven(null)} /></div>`}
    </section>
    <${Given} tz=${tz} revision=${revision} again=${count} />`;
}
