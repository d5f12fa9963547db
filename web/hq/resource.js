// SPDX-License-Identifier: Apache-2.0
// A resource of the API as a hook, for what only one view needs.

import { useEffect, useRef, useState } from './vendor/htm-preact.module.js';

/**
 * Calls load(signal) at once and whenever a value of `causes` changes. A change of `identity` drops the old answer,
 * other causes keep it until the new one is there; so does a failure. Never two at a time: what changes meanwhile
 * causes one more call.
 */
export function useResource(load, identity, causes) {
    const [answer, setAnswer] = useState({ identity, value: null, error: null });
    const running = useRef(null);

    useEffect(
        () => () => {
            running.current?.controller.abort();
            running.current = null;
        },
        [identity],
    );

    useEffect(() => {
        if (running.current) {
            running.current.again = load;
            return;
        }
        const run = { controller: new AbortController(), again: null };
        running.current = run;
        (async () => {
            let next = load;
            while (next) {
                run.again = null;
                try {
                    const value = await next(run.controller.signal);
                    if (run.controller.signal.aborted) {
                        return;
                    }
                    setAnswer({ identity, value, error: null });
                } catch (error) {
                    if (run.controller.signal.aborted) {
                        return;
                    }
                    setAnswer((before) => ({
                        identity,
                        value: before.identity === identity ? before.value : null,
                        error,
                    }));
                }
                next = run.again;
            }
            running.current = null;
        })();
    }, [identity, ...causes]);

    return answer.identity === identity ? answer : { identity, value: null, error: null };
}
