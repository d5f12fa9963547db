// SPDX-License-Identifier: Apache-2.0
// Amounts between people and the API: what is typed, as integers of Wh or of a currency's minor unit; money and tokens
// as text. No floating point: 0.1 kWh is 100 Wh.

import { formatCount, toInteger, visible } from './format.js';

/** 1 TWh, and the most money: below 2^53, so that JSON carries it exactly. */
export const AMOUNT_WH_MAX = 1_000_000_000_000;
export const MONEY_MINOR_MAX = 1_000_000_000_000;

/**
 * A decimal number with at most `decimals` digits behind the point, as an integer of its smallest unit. Throws
 * RangeError with a sentence for the person who typed it.
 */
export function parseDecimal(text, decimals) {
    const typed = String(text)
        .trim()
        .replace(/[\u202f\u00a0' ]/g, '');
    if (typed === '') {
        throw new RangeError('Type a number.');
    }
    const match = /^([+\-−]?)(\d*)(?:[.,](\d*))?$/.exec(typed);
    if (!match || (match[2] === '' && !match[3])) {
        throw new RangeError('This is not a number. Digits, with a point before the decimals, are.');
    }
    const fraction = match[3] ?? '';
    if (fraction.length > decimals) {
        throw new RangeError(
            decimals === 0 ? 'Whole numbers only.' : `At most ${decimals} digits behind the decimal point.`,
        );
    }
    const digits = (match[2] + fraction.padEnd(decimals, '0')).replace(/^0+(?=\d)/, '');
    const value = digits.length > 15 ? Infinity : Number(digits);
    return match[1] === '-' || match[1] === '−' ? -value : value;
}

/** Integer within bounds, both inclusive. */
export function parseInteger(text, min, max) {
    const value = parseDecimal(text, 0);
    if (value < min || value > max) {
        throw new RangeError(`From ${formatCount(min)} to ${formatCount(max)}.`);
    }
    return value + 0;
}

/** kWh as typed, in Wh within bounds. */
export function parseKwh(text, min_wh, max_wh) {
    const value_wh = parseDecimal(text, 3);
    if (value_wh < min_wh || value_wh > max_wh) {
        throw new RangeError(`From ${formatShortKwh(min_wh)} to ${formatShortKwh(max_wh)} kWh.`);
    }
    return value_wh + 0;
}

/** Wh as kWh with as many decimals as it needs. */
export function formatShortKwh(value_wh) {
    const integer = toInteger(value_wh);
    if (integer === null) {
        return '–';
    }
    return formatMinor(integer, 3).replace(/\.?0+$/, '');
}

function formatMinor(integer, decimals) {
    const positive = integer < 0n ? -integer : integer;
    const unit = 10n ** BigInt(decimals);
    const fraction = decimals > 0 ? `.${String(positive % unit).padStart(decimals, '0')}` : '';
    return `${integer < 0n ? '−' : ''}${formatCount(positive / unit)}${fraction}`;
}

export function decimalsOf(value) {
    return Number.isInteger(value) && value >= 0 && value <= 6 ? value : 0;
}

/** Minor units as "12.50 EUR". */
export function formatMoney(money_minor, decimals, currency) {
    const integer = toInteger(money_minor);
    return integer === null ? '–' : `${formatMinor(integer, decimalsOf(decimals))} ${visible(currency ?? '')}`.trim();
}

/** A token in groups of three, as it is read out and typed. */
export function groupToken(token) {
    return visible(token ?? '').match(/.{1,3}/gu) ?? [];
}
