// SPDX-License-Identifier: Apache-2.0
// A person's word on something that waits: yes or no, each after a question, and what became of it.

import { html, useEffect, useState } from './vendor/htm-preact.module.js';
import { formatCount } from './format.js';
import { Confirm, Problem, TextField, useChange } from './forms.js';
import { answerText, At, State } from './orders.js';
import { Outside } from './parts.js';
import { linkTo } from './route.js';
import { newRequestId } from './session.js';

const OPEN = ['queued', 'sent', 'accepted', 'trying'];
const REASON_BYTES_MAX = 200;

export const isOnItsWay = ({ state, command }) => state === 'waiting' && OPEN.includes(command?.state);

/**
 * Two buttons. path: of the API, without the verb; verb and title: of the yes ('confirm', 'Confirm'); name: of what is
 * decided; off: why yes is not possible, or nothing; question and refusal: what the two questions say.
 * A request id lasts until HQ has answered it.
 */
export function Decide({ path, verb, title, name, state, off, question, refusal, onDone }) {
    const [asking, setAsking] = useState('');
    const [reason, setReason] = useState('');
    const [reasonError, setReasonError] = useState(null);
    const [request, setRequest] = useState(newRequestId);
    const { sending, problem, send } = useChange();
    const act = async (what, more) => {
        setAsking('');
        if (await send(`${path}/${what}`, { request, ...more })) {
            setRequest(newRequestId());
            onDone();
        }
    };
    useEffect(() => {
        if (problem && !problem.isOpen) {
            setRequest(newRequestId());
        }
    }, [problem]);
    const refuse = () => {
        const text = reason.trim();
        if (text === '' || new TextEncoder().encode(text).length > REASON_BYTES_MAX) {
            setReasonError('Say why: whoever looks at it next needs it.');
            return;
        }
        act('refuse', { reason: text });
    };
    const yes = state === 'refused' ? `${title} after all` : title;
    return html`<div class="decide">
        ${off && html`<p class="warn-text">${off}</p>`}
        <div class="buttons">
            <button type="button" class="primary" disabled=${sending || Boolean(off)}
                aria-label=${`${yes}: ${name}`} onClick=${() => setAsking(verb)}>${yes}</button>
            ${
                state === 'waiting' &&
                html`<button type="button" disabled=${sending} aria-label=${`Refuse: ${name}`}
                onClick=${() => setAsking('refuse')}>Refuse</button>`
            }
        </div>
        <${Problem} problem=${problem} what="it was decided" />
        ${
            asking === verb &&
            html`<${Confirm} title=${`${title} ${name}?`} yes=${title} onYes=${() => act(verb, {})}
                onNo=${() => setAsking('')}>${question}<//>`
        }
        ${
            asking === 'refuse' &&
            html`<${Confirm} title=${`Refuse ${name}?`} yes="Refuse" onYes=${refuse} onNo=${() => setAsking('')}>
                ${refusal}
                <${TextField} id="refuse-reason" label="Why" value=${reason} error=${reasonError} maxlength="200"
                    onInput=${setReason} /><//>`
        }
    </div>`;
}

/** Who decided, and how far the command is. done: what yes is called afterwards. */
export function Decision({ item, done, tz }) {
    if (!item.decided_by) {
        return null;
    }
    const isRefusal = item.state === 'refused';
    return html`<p class="decision">${isRefusal ? 'Refused' : done} by <${Outside} text=${item.decided_by} />,${' '}
        <${At} at_s=${item.decided} tz=${tz} />${
            isRefusal
                ? html`: <${Outside} text=${item.reason ?? ''} />`
                : item.command &&
                  html`. <a href=${linkTo.order(item.command.order)}>Order ${formatCount(item.command.order)}</a>${' '}
                  <${State} state=${item.command.state} />${
                      item.command.status &&
                      item.command.status !== 'done' &&
                      html` <span class="muted">${answerText(item.command.status)}</span>`
                  }`
        }</p>`;
}
