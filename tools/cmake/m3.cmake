# SPDX-License-Identifier: Apache-2.0
# Cortex-M3 on QEMU's mps2-an385: 4 MB of flash at 0, 4 MB of RAM at 0x20000000, 16 MB at 0x21000000.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR cortex-m3)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(MM_MCU_MACHINE -mcpu=cortex-m3 -mthumb)
set(MM_MCU_FLASH 0)
set(MM_MCU_RAM 0x21000000)
set(MM_MCU_RAM_BYTES 16M)
# Of the image that must do with little: RAM in a place of its own, and its memory chips at an address outside of it.
set(MM_MCU_SMALL_RAM 0x20000000)
set(MM_MCU_CHIPS 0x21000000)
set(MM_MCU_EMULATOR qemu-system-arm -M mps2-an385)
include(${CMAKE_CURRENT_LIST_DIR}/Mcu.cmake)
