// SPDX-License-Identifier: Apache-2.0
// What a node's image keeps of the core: linked only, never run. tests/mcu/CMakeLists.txt demands every function of the
// core that the compositions call (--undefined), the linker drops the rest, tools/budgets reads the map.
#include "meshmeter/base.h"

_Noreturn void mm_assert_failed(const char *place) {
    (void)place;
    for (;;) { // no wait: of an image that nobody runs
    }
}

int main(void) {
    return 0;
}
