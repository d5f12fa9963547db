# SPDX-License-Identifier: Apache-2.0
# cmake -DSOURCE=FILE -DOUTPUT=FILE.c -DNAME=SYMBOL -P EmbedFile.cmake: the bytes of a file as a C array SYMBOL, and their
# number as SYMBOL_bytes.
file(READ ${SOURCE} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
file(WRITE ${OUTPUT} "// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <stdint.h>
extern const uint8_t ${NAME}[];
extern const size_t ${NAME}_bytes;
const uint8_t ${NAME}[] = {
${hex}};
const size_t ${NAME}_bytes = ${bytes};
")
