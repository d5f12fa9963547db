// SPDX-License-Identifier: Apache-2.0

/** A refusal of the fake HQ: its status and what HQ says. */
export class Refusal extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}
