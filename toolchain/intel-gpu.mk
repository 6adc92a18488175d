# SPDX-License-Identifier: BSD-2-Clause
# For Makefiles of Microkit systems that include the Intel GPU driver. Before the include set:
#
#   INTEL_GPU        this repository
#   MICROKIT_SDK     the SDK; MICROKIT_CONFIG its configuration (debug or release; debug unless set)
#   BUILD_DIR        where results go
#
# Then there are:
#
#   $(INTEL_GPU_ELF)                               the driver domain, built for that kernel
#   $(call intel_gpu_domain,PACKAGES)              a command that builds more of this repository's domains, to
#                                                  $(INTEL_GPU_PROGRAMS)
#   $(call intel_gpu_image,SYSTEM,FOLDER,BOARD)    a command that makes FOLDER/loader.img; programs are looked for in
#                                                  $(INTEL_GPU_PROGRAMS), $(BUILD_DIR) and SYSTEM's folder

MICROKIT_BOARD ?= x86_64_generic
MICROKIT_CONFIG ?= debug
CARGO ?= cargo

INTEL_GPU_TARGET := $(abspath $(BUILD_DIR))/intel-gpu-$(MICROKIT_CONFIG)
INTEL_GPU_PROGRAMS := $(INTEL_GPU_TARGET)/x86_64-unknown-linux-gnu/domain
INTEL_GPU_ELF := $(INTEL_GPU_PROGRAMS)/gpu-driver.elf

# Cargo writes NAME; descriptions say NAME.elf.
intel_gpu_domain = cd $(INTEL_GPU) && \
	MICROKIT_SDK=$(abspath $(MICROKIT_SDK)) MICROKIT_BOARD=$(MICROKIT_BOARD) MICROKIT_CONFIG=$(MICROKIT_CONFIG) \
	$(CARGO) build -q --config toolchain/domain.toml --target-dir $(INTEL_GPU_TARGET) --profile domain \
	-p microkit-ext --features microkit-ext/mcs $(addprefix -p ,$(1)) && \
	for program in $(1); do ln -sf $$program $(INTEL_GPU_PROGRAMS)/$$program.elf; done

intel_gpu_image = mkdir -p $(2) && $(CARGO) run -q --manifest-path $(INTEL_GPU)/Cargo.toml -p image --bin microkit-image -- \
	$(1) --microkit-sdk $(MICROKIT_SDK) --microkit-config $(MICROKIT_CONFIG) --board $(3) \
	--search-path $(INTEL_GPU_PROGRAMS) --search-path $(BUILD_DIR) --search-path $(dir $(1)) \
	-o $(2) --report $(2)/report.json

$(INTEL_GPU_ELF): FORCE
	$(call intel_gpu_domain,gpu-driver)

.PHONY: FORCE
FORCE:
