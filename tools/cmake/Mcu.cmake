# SPDX-License-Identifier: Apache-2.0
# What the toolchain files of the emulated microcontrollers share: picolibc with semihosting, flags as ESP-IDF has them.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
list(JOIN MM_MCU_MACHINE " " machine)
set(CMAKE_C_FLAGS_INIT "--specs=picolibc.specs ${machine} -ffunction-sections -fdata-sections")
set(CMAKE_EXE_LINKER_FLAGS_INIT "--oslib=semihost --crt0=semihost -Wl,--gc-sections -Wl,--defsym=__flash=${MM_MCU_FLASH}")

# A hang is a failure, and leaves no emulator behind. Without the chardev, picolibc's output goes to standard error.
set(CMAKE_CROSSCOMPILING_EMULATOR
  timeout 120 ${MM_MCU_EMULATOR} -display none -monitor none -serial none
  -chardev stdio,id=s -semihosting-config enable=on,target=native,chardev=s -kernel)
