// SPDX-License-Identifier: Apache-2.0
// Composing an order: for whom, what, until when; and in a sentence what will happen.

import { html, useEffect, useState } from './vendor/htm-preact.module.js';
import { getList } from './api.js';
import { formatDuration, visible } from './format.js';
import {
    BitsField,
    Chooser,
    Confirm,
    Problem,
    SelectField,
    TextField,
    useChange,
    useDraft,
    useFocusOnError,
} from './forms.js';
import { DAY_NAMES, initialValues, KINDS, kindsFor, readArguments } from './kinds.js';
import { hourName } from './plots.js';
import { Orders } from './orders.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';
import { linkTo } from './route.js';
import { newRequestId, useSession } from './session.js';
import { describeTarget, isNamed, meterAddress, meterKey, targetText, TARGET_TYPES } from './targets.js';

const EXPIRIES = [
    ['3600', 'in 1 hour'],
    ['28800', 'in 8 hours'],
    ['86400', 'in 1 day'],
    ['604800', 'in 7 days'],
    ['2592000', 'in 30 days'],
    ['0', 'never'],
];
const PRIORITIES = [
    ['9', '9: before everything else'],
    ['8', '8'],
    ['7', '7'],
    ['6', '6'],
    ['5', '5: ordinary'],
    ['4', '4'],
    ['3', '3'],
    ['2', '2'],
    ['1', '1'],
    ['0', '0: when nothing else waits'],
];
const HOUR_NAMES = Array.from({ length: 24 }, (_, hour) => hourName(hour).slice(0, 2));

const emptyDraft = () => ({
    request: newRequestId(),
    type: 'meter',
    meter: '',
    node: '',
    site: '',
    kind: 'lock',
    typed: {},
    expiry: '86400',
    priority: '5',
});

/** Every meter and node that HQ knows, whatever its site. */
export function useWorld(revision) {
    const load = async (signal) => {
        const [meters, nodes] = await Promise.all([getList('meters', {}, signal), getList('nodes', {}, signal)]);
        return { meters, nodes };
    };
    return useResource(load, 'world', [Math.floor(revision / 10)]);
}

export function meterItems(meters) {
    return meters
        .filter(isNamed)
        .map((meter) => ({ key: meterKey(meter), text: meter.id, detail: `${meter.site} · ${meterAddress(meter)}` }))
        .sort((left, right) => left.text.localeCompare(right.text));
}

function Target({ draft, change, world, data, error }) {
    const sites = [['', 'Choose a site'], ...data.sites.map((entry) => [entry.site, visible(entry.site)])];
    const nodes = world.nodes.map((node) => ({
        key: node.mac,
        text: node.mac,
        detail: `${node.site}${node.root ? ' · root' : ''}`,
    }));
    const setType = (type) => {
        const kinds = kindsFor(type);
        change({
            type,
            site: draft.site || data.site || '',
            ...(kinds.includes(draft.kind) ? {} : { kind: kinds[0], typed: {} }),
        });
    };
    return html`<${SelectField} id="target-type" label="For" value=${draft.type} choices=${TARGET_TYPES}
            onChange=${setType} />
        ${
            draft.type === 'meter' &&
            html`<${Chooser} id="target-meter" label="Meter" items=${meterItems(world.meters)} value=${draft.meter}
                error=${error} nothing="No meter's id, site or node contains this."
                onChange=${(meter) => change({ meter })} />`
        }
        ${
            draft.type === 'node' &&
            html`<${Chooser} id="target-node" label="Node" items=${nodes} value=${draft.node} error=${error}
                nothing="No node's address or site contains this." onChange=${(node) => change({ node })} />`
        }
        ${
            ['gateway', 'site'].includes(draft.type) &&
            html`<${SelectField} id="target-site" label="Site" value=${draft.site} choices=${sites} error=${error}
                onChange=${(site) => change({ site })} />`
        }`;
}

function Argument({ field, value, error, onChange }) {
    const id = `argument-${field.name}`;
    if (field.type === 'hours' || field.type === 'days') {
        return html`<${BitsField} id=${id} label=${field.label} value=${value} onChange=${onChange}
            names=${field.type === 'hours' ? HOUR_NAMES : DAY_NAMES.map((name) => name.slice(0, 3))}
            className=${field.type} />`;
    }
    if (field.type === 'choice') {
        return html`<${SelectField} id=${id} label=${field.label} value=${value} choices=${field.choices}
            error=${error} onChange=${onChange} />`;
    }
    const label = field.isOptional ? `${field.label} (if it changes)` : field.label;
    const mode = { integer: 'numeric', decimal: 'decimal' }[field.type];
    return html`<${TextField} id=${id} label=${label} unit=${field.unit} hint=${field.hint} value=${value}
        error=${error} onInput=${onChange} type=${field.type === 'secret' ? 'password' : 'text'}
        inputmode=${mode} autocomplete=${field.type === 'secret' ? 'new-password' : 'off'} />`;
}

/** What the form says as a whole: {body, errors, sentence, what, name, isMany, isDangerous}. */
function judge(draft, world) {
    const kind = KINDS[draft.kind];
    const { values, errors } = readArguments(draft.kind, draft.typed);
    const target = targetText(draft, world);
    if (target === null) {
        errors.target = { meter: 'Choose a meter.', node: 'Choose a node.' }[draft.type] ?? 'Choose a site.';
    }
    const { what, name } = describeTarget(draft, world, kind.scope);
    const isComplete = Object.keys(errors).length === 0;
    const expires_s = Number(draft.expiry);
    const until =
        expires_s > 0
            ? `If a node does not take it within ${formatDuration(expires_s)}, it expires there and nothing happens.`
            : 'It does not expire: it waits until the node takes it.';
    return {
        errors,
        isComplete,
        name,
        what,
        isMany: ['site', 'all'].includes(draft.type),
        isDangerous: kind.isDangerous || (draft.kind === 'lock' && draft.type !== 'meter'),
        sentence: isComplete ? `${kind.sentence(what, values)} ${until}` : null,
        body: {
            request: draft.request,
            target,
            kind: draft.kind,
            arguments: values,
            priority: Number(draft.priority),
            ...(expires_s > 0 ? { expires_s } : {}),
        },
    };
}

function Ask({ draft, judged, onYes, onNo }) {
    const title = `${KINDS[draft.kind].title} – ${judged.name}`;
    const word = judged.isMany ? (draft.type === 'all' ? 'all' : draft.site) : null;
    return html`<${Confirm} title=${title} word=${word} onYes=${onYes} onNo=${onNo}
        yes=${`Yes, for ${judged.what}`}>
        <p>${judged.sentence}</p><//>`;
}

function Compose({ data, world, route, onMade }) {
    const [draft, change, reset] = useDraft('order', emptyDraft);
    const [shownErrors, setShownErrors] = useState(false);
    const [asking, setAsking] = useState(false);
    const [made, setMade] = useState(null);
    const [form, focusOnError] = useFocusOnError();
    const { sending, problem, send, forget } = useChange();
    useEffect(() => {
        if (route.meter !== null) {
            change({ type: 'meter', meter: route.meter });
        }
    }, [route.meter]);

    const judged = judge(draft, world);
    const errors = shownErrors ? judged.errors : {};
    const kind = KINDS[draft.kind];
    const edit = (part) => {
        setMade(null);
        change(part);
    };
    const post = async () => {
        setAsking(false);
        const done = await send('orders', judged.body);
        if (done) {
            setMade({ order: done.answer?.order ?? done.answer, repeated: done.repeated });
            setShownErrors(false);
            // The target stays for the next order; a new form has a new number.
            reset({ type: draft.type, meter: draft.meter, node: draft.node, site: draft.site, kind: draft.kind });
            onMade();
        }
    };
    const submit = (event) => {
        event.preventDefault();
        setMade(null);
        setShownErrors(true);
        if (!judged.isComplete) {
            focusOnError();
        } else if (judged.isDangerous && !asking) {
            setAsking(true);
        } else if (!asking) {
            post();
        }
    };
    return html`<form ref=${form} class="compose padded" onSubmit=${submit} novalidate aria-labelledby="compose-title">
        <div class="fields">
            <${Target} draft=${draft} change=${edit} world=${world} data=${data} error=${errors.target} />
            <${SelectField} id="kind" label="Command" value=${draft.kind}
                choices=${kindsFor(draft.type).map((name) => [name, KINDS[name].title])}
                onChange=${(name) => edit({ kind: name, typed: initialValues(name) })} />
        </div>
        ${
            kind.fields &&
            html`<div class="fields" key=${draft.kind}>${kind.fields.map(
                (field) => html`<${Argument} key=${field.name} field=${field} error=${errors[field.name]}
                value=${draft.typed[field.name] ?? field.initial ?? ''}
                onChange=${(value) => edit({ typed: { ...draft.typed, [field.name]: value } })} />`,
            )}</div>`
        }
        <div class="fields">
            <${SelectField} id="expiry" label="Expires" value=${draft.expiry} choices=${EXPIRIES}
                onChange=${(expiry) => edit({ expiry })} />
            <${SelectField} id="priority" label="Priority" value=${draft.priority} choices=${PRIORITIES}
                onChange=${(priority) => edit({ priority })} />
        </div>
        <p class=${`sentence ${judged.isDangerous ? 'danger' : ''}`} aria-live="polite">${
            judged.sentence ?? 'Fill in the form: what will happen is said here before anything is sent.'
        }</p>
        <div class="buttons"><button type="submit" class=${judged.isDangerous ? 'danger' : 'primary'}
            disabled=${sending}>${sending ? 'Sending …' : problem?.isOpen ? 'Send again' : 'Order it'}</button></div>
        <${Problem} problem=${problem} what="the order was made">
            ${
                problem?.status === 409 &&
                html`<p>This form was sent before with other content; the list below shows what became of it.${' '}
                <button type="button" onClick=${() => {
                    forget();
                    change({ request: newRequestId() });
                }}>Make it a new order</button></p>`
            }<//>
        <div role="status">${
            made &&
            html`<p class="success">${
                made.repeated ? 'HQ had this order already, nothing was ordered twice: ' : 'Ordered: '
            }<a href=${linkTo.order(made.order.id)}>order ${visible(made.order.id)}</a>. Its progress is in the list
            below.</p>`
        }</div>
        ${asking && html`<${Ask} draft=${draft} judged=${judged} onYes=${post} onNo=${() => setAsking(false)} />`}
    </form>`;
}

export function Commands({ data, tz, revision, route }) {
    const { token } = useSession();
    const world = useWorld(revision);
    const [made, setMade] = useState(0);
    return html`${
        token !== null &&
        html`<section class="panel" aria-labelledby="compose-title">
            <div class="panel-head"><h2 id="compose-title">New order</h2></div>
            ${
                world.value === null
                    ? html`<div class="padded"><${Loading} error=${world.error} /></div>`
                    : html`<${Compose} data=${data} world=${world.value} route=${route}
                        onMade=${() => setMade(made + 1)} />`
            }</section>`
    }
    <${Orders} tz=${tz} revision=${`${revision}/${made}`} />`;
}
