# SPDX-License-Identifier: BSD-2-Clause
# The verbs. Each first makes sure that the machine has what it needs, then hands over to toolchain/xtask, which is
# where the work is described: `cargo run -q -p xtask -- --help` tells more.

GPU ?= tgl
DEMO ?= paint
KERNEL ?= debug
# The folder of a Microkit SDK, and which of its configurations: without, the embedded kernel is used.
MICROKIT_SDK ?=
CONFIG ?= debug
# The machine: the name of a file in toolchain/image/boards, or a path.
BOARD ?= qemu-q35
# Somebody meant to name an SDK: a variable of the shell that is not set, most likely.
EMPTY_SDK = $(if $(MICROKIT_SDK),,$(filter command environment,$(origin MICROKIT_SDK)))
# Without an SDK it would mean nothing, and whoever gave it would get another kernel than he thinks.
LOST_CONFIG = $(if $(MICROKIT_SDK),,$(filter command,$(origin CONFIG)))
SDK = $(if $(EMPTY_SDK),$(error MICROKIT_SDK is empty: name the folder of a Microkit SDK (with VERSION, bin and board in it), or \
	leave the variable out for the embedded kernel))$(if $(LOST_CONFIG),$(error CONFIG is which configuration of a Microkit SDK: \
	name its folder, too (MICROKIT_SDK=DIR); the embedded kernel has KERNEL=debug|release, for make image))--board $(BOARD) $(if $(MICROKIT_SDK),--microkit-sdk $(MICROKIT_SDK) --config $(CONFIG))
CARGO ?= cargo
XTASK = $(CARGO) run -q -p xtask --

.DEFAULT_GOAL := help
.PHONY: help setup run timeline image board test lint guide bench parity oracle fuzz clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the machine lacks (as root), or say what to install
	@toolchain/setup.sh

run: setup ## boot the demonstration, with a picture in target/run/frame.png [GPU=bdw|skl|kbl|glk|icl|tgl|rkl|adls] [DEMO=paint|recover|migrate|share|stream|show|hello-c] [BOARD=NAME] [MICROKIT_SDK=DIR CONFIG=debug|release]
	@$(XTASK) run --gpu $(GPU) --demo $(DEMO) $(SDK)

timeline: ## turn the driver's trace of a run into timeline.json, .txt and .svg beside it [LOG=target/run/events.bin] [MODEL=FILE: the device model's trace.json]
	@$(XTASK) timeline --log $(or $(LOG),target/run/events.bin) $(if $(MODEL),--model $(MODEL))

image: setup ## build the kernel and the image, and say where they are [DEMO=paint|recover|migrate|share|stream|show|hello-c] [KERNEL=debug|release] [BOARD=NAME] [MICROKIT_SDK=DIR CONFIG=debug|release]
	@$(XTASK) image --demo $(DEMO) --kernel $(KERNEL) $(SDK)

board: setup ## write the board file of this machine, as root, or of another from dumps BOARD=NAME [LSPCI=FILE IOMEM=FILE LOG=FILE]
	$(if $(filter qemu-q35,$(BOARD)),$(error say how the new board is to be called: make board BOARD=mine))
	@$(CARGO) run -q -p image --bin microkit-board -- $(if $(LSPCI),--lspci $(LSPCI)) $(if $(IOMEM),--iomem $(IOMEM)) \
		$(if $(LOG),--log $(LOG)) -o $(if $(findstring /,$(BOARD)),$(BOARD),toolchain/image/boards/$(BOARD).toml)

test: setup ## run the host tests and the boot tests
	@$(XTASK) test

lint: setup ## check format, lints, the reference and the guide
	@$(XTASK) lint

guide: setup ## make the guide a book in target/guide, and follow every link in it; gets mdBook from crates.io once
	@$(XTASK) guide

bench: setup ## measure in guest instructions and in wall time
	@$(XTASK) bench

parity: setup ## print which registers Linux's i915 leaves otherwise than this driver, part by part, and why
	@$(XTASK) parity

oracle: setup ## let Linux's i915 and its tests judge the device model [GPU=tgl|skl] [QUICK=1]
	@$(XTASK) oracle --gpu $(GPU) $(if $(QUICK),--quick)

fuzz: ## fuzz the device model, guided by coverage; needs g++ [SECONDS=300, for each target]
	@tests/gpu-model/fuzz/run.sh $(or $(SECONDS),300)

clean: ## delete everything that was built
	@$(CARGO) clean -q
