// SPDX-License-Identifier: Apache-2.0
// Text that would be a program if a page took it for markup.
export const HOSTILE_ID = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
