# SPDX-License-Identifier: Apache-2.0
# RV32IMAC on QEMU's virt: RAM from 0x80000000 on, of which the first 4 MB stand for the flash. The same instructions as
# an ESP32-C6. Not rv32imac_zicsr: Debian's libraries for it are found under this name only.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR rv32imac)
set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
set(MM_MCU_MACHINE -march=rv32imac -mabi=ilp32)
set(MM_MCU_FLASH 0x80000000)
set(MM_MCU_RAM 0x80400000)
set(MM_MCU_RAM_BYTES 64M)
set(MM_MCU_SMALL_RAM 0x80400000)
set(MM_MCU_CHIPS 0x80800000)
set(MM_MCU_EMULATOR qemu-system-riscv32 -M virt -cpu rv32 -bios none)
include(${CMAKE_CURRENT_LIST_DIR}/Mcu.cmake)
