# SPDX-License-Identifier: BSD-2-Clause
# For Makefiles of Microkit systems that include the Intel GPU driver. Before the include set:
#
#   INTEL_GPU        this repository
#   MICROKIT_SDK     the folder of a Microkit SDK (2.3.0), absolute or from where make runs, and MICROKIT_CONFIG its
#                    configuration (debug or release; debug unless set); without an SDK the system is built for this
#                    repository's embedded kernel
#   BUILD_DIR        where results go
#
# MICROKIT_BOARD, where a system's Makefile has it, has to be x86_64_generic.
#
# Then there are:
#
#   $(INTEL_GPU_ELF)                               the driver domain, built for that kernel
#   $(INTEL_GPU_KERNEL)                            that kernel, in the form that QEMU's loader takes
#   $(call intel_gpu_domain,PACKAGES)              a command that builds more of this repository's domains, to
#                                                  $(INTEL_GPU_PROGRAMS)
#   $(call intel_gpu_crates,FOLDER,PACKAGES)       the same for packages of a cargo workspace of your own; each has a
#                                                  feature mcs = ["microkit-ext/mcs"], which is set for SDKs
#   $(INTEL_GPU_CLIENT_C)                          the client library for domains in C, an archive
#   $(INTEL_GPU_CFLAGS)                            what they are compiled with to find its headers and microkit.h
#   $(INTEL_GPU_CLIENT_C_LIBS)                     what they are linked with, the archive first: an SDK's libmicrokit and
#                                                  its linker script, beside which the program or a C library has to
#                                                  have memcpy, memmove, memset, memcmp and bcmp; without an SDK, the flags
#                                                  for the archive's own runtime
#   $(call intel_gpu_image,SYSTEM,FOLDER,BOARD)    a command that makes FOLDER/loader.img; programs are looked for in
#                                                  $(INTEL_GPU_PROGRAMS), $(BUILD_DIR) and SYSTEM's folder
#   $(call intel_gpu_run,IMAGE)                    a command that boots it in QEMU with a GPU attached; it succeeds when the
#                                                  system ends the emulator with code 0 (port 0xf4)

$(foreach variable,INTEL_GPU BUILD_DIR,$(if $($(variable)),,$(error set $(variable) before you include intel-gpu.mk)))
ifeq ($(wildcard $(INTEL_GPU)/toolchain/domain.toml),)
$(error INTEL_GPU is $(INTEL_GPU), which is not the repository of the GPU driver (from $(CURDIR)))
endif

# The rules here are nobody's default goal.
intel_gpu_goal := $(.DEFAULT_GOAL)

MICROKIT_BOARD ?= x86_64_generic
ifneq ($(MICROKIT_BOARD),x86_64_generic)
$(error MICROKIT_BOARD is $(MICROKIT_BOARD); the GPU driver is for the board x86_64_generic, and so is what is built with it)
endif
MICROKIT_CONFIG ?= debug
CARGO ?= cargo
# Where the embedded kernel is built, in kernel/.
INTEL_GPU_KERNELS ?= $(abspath $(INTEL_GPU))/target

INTEL_GPU_TARGET ?= $(abspath $(BUILD_DIR))/intel-gpu-$(if $(MICROKIT_SDK),sdk-)$(MICROKIT_CONFIG)
INTEL_GPU_PROGRAMS := $(INTEL_GPU_TARGET)/x86_64-unknown-linux-gnu/domain
INTEL_GPU_ELF := $(INTEL_GPU_PROGRAMS)/gpu-driver.elf

ifeq ($(strip $(MICROKIT_SDK)),)
# Somebody meant to name one: a variable of the shell that is not set, most likely.
ifneq ($(filter command environment,$(origin MICROKIT_SDK)),)
$(error MICROKIT_SDK is empty: name the folder of a Microkit SDK (with VERSION, bin and board in it), or leave the \
	variable out for the embedded kernel)
endif
INTEL_GPU_KERNEL := $(INTEL_GPU_KERNELS)/kernel/$(MICROKIT_CONFIG)/kernel32.elf
intel_gpu_env := SEL4_INTERFACES_DIR=$(dir $(INTEL_GPU_KERNEL))interfaces
intel_gpu_with := --initialiser $(INTEL_GPU_PROGRAMS)/initialiser
intel_gpu_microkit_include := $(INTEL_GPU)/drivers/gpu-client-c/microkit
intel_gpu_client_c_features := -p microkit-ext --features gpu-client-c/runtime
intel_gpu_microkit_libs = -Wl,-z,max-page-size=4096 -Wl,-z,separate-code -Wl,-z,norelro -Wl,-u,_start
else
# What the image tool would say, too, but after the programs have been built.
ifneq ($(words $(MICROKIT_SDK)),1)
$(error MICROKIT_SDK is "$(MICROKIT_SDK)": make cannot work with a path that has spaces in it)
endif
ifeq ($(wildcard $(MICROKIT_SDK)/.),)
$(error $(MICROKIT_SDK) is no Microkit SDK: there is no such folder$(if $(filter /%,$(MICROKIT_SDK)),, in $(CURDIR)); what is \
	expected has VERSION, bin and board in it)
endif
ifeq ($(wildcard $(MICROKIT_SDK)/VERSION),)
$(error $(MICROKIT_SDK) is no Microkit SDK: there is no VERSION in it)
endif
intel_gpu_version := $(shell cat '$(MICROKIT_SDK)/VERSION')
ifneq ($(firstword $(subst -, ,$(subst +, ,$(intel_gpu_version)))),2.3.0)
$(error $(MICROKIT_SDK) is Microkit $(intel_gpu_version); what is supported is 2.3.0)
endif
ifeq ($(wildcard $(MICROKIT_SDK)/board/$(MICROKIT_BOARD)/$(MICROKIT_CONFIG)),)
$(error $(MICROKIT_SDK) has no configuration $(MICROKIT_CONFIG) of the board $(MICROKIT_BOARD); it has \
	$(notdir $(wildcard $(MICROKIT_SDK)/board/$(MICROKIT_BOARD)/*)))
endif
INTEL_GPU_KERNEL := $(abspath $(MICROKIT_SDK))/board/$(MICROKIT_BOARD)/$(MICROKIT_CONFIG)/elf/sel4_32.elf
intel_gpu_board := $(abspath $(MICROKIT_SDK))/board/$(MICROKIT_BOARD)/$(MICROKIT_CONFIG)
intel_gpu_microkit_include := $(intel_gpu_board)/include
# Microkit's own library is the runtime then.
intel_gpu_client_c_features :=
intel_gpu_microkit_libs = -L$(intel_gpu_board)/lib -lmicrokit -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-T,microkit.ld
intel_gpu_env := MICROKIT_SDK=$(abspath $(MICROKIT_SDK)) MICROKIT_BOARD=$(MICROKIT_BOARD) MICROKIT_CONFIG=$(MICROKIT_CONFIG)
intel_gpu_with := --microkit-sdk $(abspath $(MICROKIT_SDK)) --microkit-config $(MICROKIT_CONFIG)
endif

# Unless it is built already, and named. The one with and the one without a runtime have folders of their own.
ifeq ($(origin INTEL_GPU_CLIENT_C),undefined)
INTEL_GPU_CLIENT_C := $(INTEL_GPU_TARGET)$(if $(MICROKIT_SDK),-c)/x86_64-unknown-linux-gnu/domain/libgpu_client_c.a
$(INTEL_GPU_CLIENT_C): $(INTEL_GPU_ELF)
	cd $(INTEL_GPU) && $(intel_gpu_cargo) --target-dir $(INTEL_GPU_TARGET)$(if $(MICROKIT_SDK),-c) \
		-p gpu-client-c $(intel_gpu_client_c_features)
endif
INTEL_GPU_CFLAGS := -I$(INTEL_GPU)/drivers/gpu-client-c/include -isystem $(intel_gpu_microkit_include)
INTEL_GPU_CLIENT_C_LIBS = $(INTEL_GPU_CLIENT_C) $(intel_gpu_microkit_libs) -Wl,--build-id=none \
	-Wl,--defsym=rust_eh_personality=0

intel_gpu_cargo = $(intel_gpu_env) $(CARGO) build -q --config $(abspath $(INTEL_GPU))/toolchain/domain.toml \
	--profile domain
intel_gpu_tool = $(CARGO) run -q --manifest-path $(INTEL_GPU)/Cargo.toml
# Cargo writes NAME; descriptions say NAME.elf.
intel_gpu_names = for program in $(1); do ln -sf $$program $(INTEL_GPU_PROGRAMS)/$$program.elf; done

intel_gpu_domain = cd $(INTEL_GPU) && $(intel_gpu_cargo) --target-dir $(INTEL_GPU_TARGET) \
	-p microkit-ext $(if $(MICROKIT_SDK),--features microkit-ext/mcs) $(addprefix -p ,$(1)) && $(call intel_gpu_names,$(1))

intel_gpu_crates = cd $(1) && $(intel_gpu_cargo) --target-dir $(INTEL_GPU_TARGET) $(addprefix -p ,$(2)) \
	$(if $(MICROKIT_SDK),$(addprefix --features ,$(addsuffix /mcs,$(2)))) && $(call intel_gpu_names,$(2))

intel_gpu_image = mkdir -p $(2) && $(intel_gpu_tool) -p image --bin microkit-image -- \
	$(1) $(intel_gpu_with) --board $(3) \
	--search-path $(INTEL_GPU_PROGRAMS) --search-path $(BUILD_DIR) --search-path $(dir $(1)) \
	-o $(2)$(if $(MICROKIT_SDK),,/loader.img) --report $(2)/report.json

intel_gpu_run = $(intel_gpu_tool) -p xtask -- boot --kernel $(INTEL_GPU_KERNEL) --image $(1)

$(INTEL_GPU_ELF): FORCE
ifeq ($(MICROKIT_SDK),)
	$(INTEL_GPU)/toolchain/kernel/build.sh $(MICROKIT_CONFIG) --target-root $(INTEL_GPU_KERNELS)
	$(call intel_gpu_domain,initialiser)
endif
	$(call intel_gpu_domain,gpu-driver)

.PHONY: FORCE
FORCE:

.DEFAULT_GOAL := $(intel_gpu_goal)
