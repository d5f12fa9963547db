// SPDX-License-Identifier: Apache-2.0
// The node's page, which the SDK's build links as bytes under these names.
__asm__(".section .rodata\n"
        ".global _binary_index_html_start\n"
        ".global _binary_index_html_end\n"
        "_binary_index_html_start:\n"
        ".ascii \"<!doctype html><style>p{}</style><script>'use strict';</script>\"\n"
        ".byte 0\n"
        "_binary_index_html_end:\n"
        ".text\n");
