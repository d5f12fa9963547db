// SPDX-License-Identifier: Apache-2.0
// The display of a node as a picture, where HQ has it: in the demo, whose nodes are programs.

import { html, useEffect, useRef } from './vendor/htm-preact.module.js';
import { get } from './api.js';
import { Loading } from './records.js';
import { useResource } from './resource.js';

export const WIDTH = 128;
export const HEIGHT = 64;
const LIT = [0xe8, 0xf4, 0xff, 0xff];
const DARK = [0x05, 0x0a, 0x10, 0xff];

/**
 * Rows of truth values from HQ's digits, or null if that is no picture: byte [page][column], bit 0 the topmost of the 8
 * rows of a page.
 */
export function dotsOf(hex) {
    if (typeof hex !== 'string' || !/^[0-9a-f]{2048}$/.test(hex)) {
        return null;
    }
    return Array.from({ length: HEIGHT }, (_, y) =>
        Array.from({ length: WIDTH }, (_unused, x) => {
            const at = 2 * ((y >> 3) * WIDTH + x);
            return ((Number.parseInt(hex.slice(at, at + 2), 16) >> (y & 7)) & 1) === 1;
        }),
    );
}

function paint(canvas, dots) {
    const context = canvas.getContext('2d');
    const image = context.createImageData(WIDTH, HEIGHT);
    dots.flat().forEach((lit, index) => {
        image.data.set(lit ? LIT : DARK, 4 * index);
    });
    context.putImageData(image, 0, 0);
}

export function Display({ node, revision }) {
    const canvas = useRef(null);
    const { value, error } = useResource(
        (signal) => get(`nodes/${encodeURIComponent(node)}/display`, {}, signal),
        node,
        [revision],
    );
    const hex = value?.bytes;
    const dots = dotsOf(hex);
    useEffect(() => {
        if (canvas.current && dots) {
            paint(canvas.current, dots);
        }
    }, [hex]);
    if (value === null) {
        return html`<${Loading} error=${error} />`;
    }
    if (dots === null) {
        return html`<p class="muted">HQ's answer is no picture.</p>`;
    }
    const isDark = !dots.some((row) => row.includes(true));
    const text = isDark ? 'dark: a press of the button lights it' : 'lit';
    return html`<figure class="display">
        <canvas ref=${canvas} width=${WIDTH} height=${HEIGHT} role="img"
            aria-label=${`Display of ${node}: ${text}`}>Display of the node: ${text}</canvas>
        <figcaption class="muted">${isDark ? 'Dark. ' : ''}In a terminal: <code>meshmeter oled</code></figcaption>
    </figure>`;
}
