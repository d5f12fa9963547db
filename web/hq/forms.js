// SPDX-License-Identifier: Apache-2.0
// What the forms are made of: fields with their error beside them, a chooser that searches, the question before
// something dangerous, and the one way in which changes are sent.

import { html, useEffect, useLayoutEffect, useRef, useState } from './vendor/htm-preact.module.js';
import { ApiError, post } from './api.js';
import { formatCount, visible } from './format.js';
import { Outside } from './parts.js';

/** Attributes that tie a control to its label, hint and error. */
export function controlOf(id, hint, error) {
    return {
        id,
        'aria-describedby': [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined,
        'aria-invalid': error ? 'true' : undefined,
    };
}

export function Field({ id, label, hint, error, className = '', children }) {
    return html`<div class=${`field ${className} ${error ? 'wrong' : ''}`}>
        <label for=${id}>${label}</label>
        ${children}
        ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
        ${error && html`<p class="field-error" id=${`${id}-error`} role="alert">${error}</p>`}
    </div>`;
}

export function TextField({ id, label, hint, error, unit, value, onInput, type = 'text', ...rest }) {
    return html`<${Field} id=${id} label=${unit ? `${label}, ${unit}` : label} hint=${hint} error=${error}>
        <input ...${controlOf(id, hint, error)} type=${type} value=${value} autocomplete="off" spellcheck=${false}
            onInput=${(event) => onInput(event.currentTarget.value)} ...${rest} /><//>`;
}

/** choices: [value, text]… */
export function SelectField({ id, label, hint, error, value, choices, onChange }) {
    return html`<${Field} id=${id} label=${label} hint=${hint} error=${error}>
        <select ...${controlOf(id, hint, error)} value=${value}
            onChange=${(event) => onChange(event.currentTarget.value)}>
            ${choices.map(
                ([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`,
            )}
        </select><//>`;
}

/** Bits of a number as boxes to tick. names: of the bits, from bit 0. */
export function BitsField({ id, label, names, value, onChange, className = '' }) {
    return html`<fieldset class=${`bits ${className}`}><legend>${label}</legend>
        ${names.map(
            (name, bit) => html`<label key=${bit}><input type="checkbox" id=${`${id}-${bit}`}
                checked=${Boolean((value >>> bit) & 1)}
                onChange=${(event) =>
                    onChange((event.currentTarget.checked ? value | (1 << bit) : value & ~(1 << bit)) >>> 0)} />
            <span>${name}</span></label>`,
        )}</fieldset>`;
}

const SHOWN_MAX = 40;

function matches(items, typed) {
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    return items.filter((item) => words.every((word) => `${item.text} ${item.detail}`.toLowerCase().includes(word)));
}

/** A text field that searches. items: {key, text, detail}. value: the key that is chosen, or ''. */
export function Chooser({ id, label, hint, error, items, value, onChange, nothing }) {
    const chosen = items.find((item) => item.key === value) ?? null;
    const [typed, setTyped] = useState(null); // null: the chosen one's text is shown
    const [active, setActive] = useState(0);
    const found = typed === null ? [] : matches(items, typed);
    const shown = found.slice(0, SHOWN_MAX);
    const isOpen = typed !== null;
    const list = `${id}-list`;

    const choose = (item) => {
        onChange(item.key);
        setTyped(null);
    };
    const close = () => {
        const only = typed && found.length === 1 ? found[0] : null;
        if (only) {
            onChange(only.key);
        } else if (typed !== null && typed !== '' && typed !== chosen?.text) {
            onChange('');
        }
        setTyped(null);
    };
    const onKeyDown = (event) => {
        const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (step) {
            event.preventDefault();
            setTyped(typed ?? '');
            setActive(isOpen && shown.length > 0 ? (active + step + shown.length) % shown.length : 0);
        } else if (event.key === 'Enter' && isOpen && shown[active]) {
            event.preventDefault();
            choose(shown[active]);
        } else if (event.key === 'Escape' && isOpen) {
            event.preventDefault();
            setTyped(null);
        }
    };
    useEffect(() => {
        if (isOpen) {
            document.getElementById(`${list}-${active}`)?.scrollIntoView({ block: 'nearest' });
        }
    }, [active, isOpen]);
    return html`<${Field} id=${id} label=${label} hint=${hint} error=${error} className="chooser">
        <input ...${controlOf(id, hint, error)} type="search" role="combobox" autocomplete="off" spellcheck=${false}
            aria-autocomplete="list" aria-expanded=${isOpen ? 'true' : 'false'} aria-controls=${list}
            aria-activedescendant=${isOpen && shown[active] ? `${list}-${active}` : undefined}
            placeholder="Type to search" value=${typed ?? (chosen ? visible(chosen.text) : '')}
            onInput=${(event) => {
                setTyped(event.currentTarget.value);
                setActive(0);
            }}
            onClick=${() => setTyped(typed ?? '')} onBlur=${close} onKeyDown=${onKeyDown} />
        <ul role="listbox" id=${list} aria-label=${label} class="options" hidden=${!isOpen}>
            ${shown.map(
                (item, index) => html`<li role="option" key=${item.key} id=${`${list}-${index}`}
                    class=${index === active ? 'active' : ''} aria-selected=${item.key === value ? 'true' : 'false'}
                    onMouseDown=${(event) => {
                        event.preventDefault();
                        choose(item);
                    }}>
                <${Outside} text=${item.text} /> <span class="muted">${visible(item.detail)}</span></li>`,
            )}
            ${isOpen && shown.length === 0 && html`<li class="muted" role="presentation">${nothing}</li>`}
            ${
                found.length > shown.length &&
                html`<li class="muted" role="presentation">
                ${formatCount(found.length - shown.length)} more: type some more of its name</li>`
            }
        </ul><//>`;
}

/**
 * The question before something dangerous. word: what must be typed first, or null. The safe button has the focus, and
 * Escape means no.
 */
export function Confirm({ title, children, yes, word = null, onYes, onNo }) {
    const dialog = useRef(null);
    const [typed, setTyped] = useState('');
    const isReady = word === null || typed.trim() === word;
    useEffect(() => {
        dialog.current?.showModal();
    }, []);
    return html`<dialog ref=${dialog} class="confirm" aria-labelledby="confirm-title"
        onCancel=${(event) => {
            event.preventDefault();
            onNo();
        }}>
        <h2 id="confirm-title">${title}</h2>
        <div class="confirm-text">${children}</div>
        ${
            word !== null &&
            html`<${TextField} id="confirm-word" label=${html`To go on, type <code>${visible(word)}</code>`}
                value=${typed} onInput=${setTyped} />`
        }
        <div class="buttons"><button type="button" autofocus onClick=${onNo}>No, go back</button>
            <button type="button" class="danger" disabled=${!isReady} onClick=${onYes}>${yes}</button></div>
    </dialog>`;
}

/**
 * The way to a form's first wrong field: [ref of the form, focusOnError]. focusOnError is called together with what makes
 * the errors appear. The focus moves before the next thing that is typed: an animation frame later it would take the
 * user out of a field that he has begun to fill.
 */
export function useFocusOnError() {
    const form = useRef(null);
    const [asked, setAsked] = useState(0);
    useLayoutEffect(() => {
        if (asked > 0) {
            form.current?.querySelector('[aria-invalid="true"]')?.focus();
        }
    }, [asked]);
    return [form, () => setAsked((count) => count + 1)];
}

/**
 * Sends a change, one at a time. problem: null, or {message, status, isOpen}; isOpen: what HQ did is not known, and
 * sending the same request id again is safe.
 */
export function useChange() {
    const [state, setState] = useState({ sending: false, problem: null });
    const running = useRef(false);
    const send = async (path, body) => {
        if (running.current) {
            return null;
        }
        running.current = true;
        setState({ sending: true, problem: null });
        try {
            const done = await post(path, body);
            setState({ sending: false, problem: null });
            return done;
        } catch (error) {
            const status = error instanceof ApiError ? error.status : 0;
            const isOpen = status === 0 || status >= 500;
            setState({ sending: false, problem: { message: error.message, status, isOpen } });
            return null;
        } finally {
            running.current = false;
        }
    };
    const forget = () => setState({ sending: false, problem: null });
    return { ...state, send, forget };
}

/** Why a change did not happen, or may have. The element stays, so that a screen reader notices its content. */
export function Problem({ problem, what, children }) {
    return html`<div role="alert" class="problem-place">${
        problem &&
        html`<div class="problem"><p><strong>${
            problem.isOpen ? `It is not known whether ${what}` : 'HQ refused'
        }:</strong> <${Outside} text=${problem.message} />.
            ${problem.isOpen && ' Send it again: HQ knows this form by its number and does it once.'}</p>
            ${children}</div>`
    }</div>`;
}

const drafts = new Map();

/** State of a form that outlives its view: a form that was half sent must not come back with another number. */
export function useDraft(name, initial) {
    const [, setCount] = useState(0);
    if (!drafts.has(name)) {
        drafts.set(name, initial());
    }
    const change = (part) => {
        drafts.set(name, { ...drafts.get(name), ...part });
        setCount((count) => count + 1);
    };
    const reset = (part = {}) => {
        drafts.set(name, { ...initial(), ...part });
        setCount((count) => count + 1);
    };
    return [drafts.get(name), change, reset];
}

export function forgetDrafts() {
    drafts.clear();
}
