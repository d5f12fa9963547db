// SPDX-License-Identifier: Apache-2.0
// What an installer reads out on the phone, as an operator types it.

/** As the display shows it: digits, blanks between them do not matter. */
export function parseNumber(text) {
    const digits = text.replace(/[\s\u202f\u00a0]/g, '');
    if (!/^\d{1,8}$/.test(digits)) {
        throw new RangeError('The number on the display: up to 8 digits.');
    }
    return Number(digits);
}

/** A whole address, or its last 6 digits as the node's own network is called by; null for anything else. */
export function parseNode(text) {
    const trimmed = text.trim().toLowerCase();
    return /^([0-9a-f]{2}[:-]?){5}[0-9a-f]{2}$/.test(trimmed) || /^([0-9a-f]{2}[:-]?){2}[0-9a-f]{2}$/.test(trimmed)
        ? trimmed
        : null;
}
