# `make help` lists the commands. Everything is installed inside this folder.

PYTHON ?= $(shell for v in 3.12 3.11 3.10; do python$$v -c '' 2>/dev/null && echo python$$v && break; done)
SOURCE ?= sample
OUT ?= out
MINUTES ?= 30
INPUTS ?= 100000
PEERS ?= .peers
NUMPY2 := .venv-numpy2
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
SOURCES := $(shell find emotion_ros msg srv launch config models interfaces cmake scripts -type f -not -name '*.pyc') CMakeLists.txt package.xml

# Tests that start no nodes and take seconds. The ignored ones start processes, or process hundreds of photos.
UNIT_TESTS := test/perception test/inference test/io test/training/test_data.py \
  --ignore test/inference/test_engines.py --ignore test/io/test_bags.py \
  --deselect test/perception/test_detection.py::test_every_face_and_every_hand_of_real_pictures_is_found

# Packages whose code a robot runs. Training pins NumPy 1 by its own libraries.
NUMPY2_TESTS := $(filter-out test/training/%,$(UNIT_TESTS))

# Attacks that need a course of events: requests, connections and bodies that come slowly, or in great number.
HOSTILE_TESTS := test/serving/test_hostile_clients.py test/serving/test_uploads.py test/serving/test_web_hostile.py \
  test/nodes/test_hostile_parameters.py

LINT := $(BIN)/ruff check emotion_ros test launch examples scripts setup.py && \
  $(BIN)/ruff format --check emotion_ros test launch examples scripts setup.py && \
  scripts/in-workspace python -m mypy && scripts/in-workspace lint-imports

# Variables of a sourced ROS installation, which would mix with the ROS of the virtual environment.
ROS_FREE := env -u AMENT_PREFIX_PATH -u CMAKE_PREFIX_PATH -u COLCON_PREFIX_PATH -u PYTHONPATH -u LD_LIBRARY_PATH -u ROS_DISTRO
PIP := $(ROS_FREE) $(BIN)/python -m pip --quiet --disable-pip-version-check install
LOCKED := $(ROS_FREE) scripts/install-locked
PEER_PIP := $(ROS_FREE) $(PEERS)/bin/python -m pip --quiet --disable-pip-version-check install

.DEFAULT_GOAL := help
.PHONY: help setup run check test test-numpy2 lint bench bench-serve compare docs soak attack lock clean prerequisites

help: ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

prerequisites:
	@sh scripts/prerequisites "$(PYTHON)"

$(VENV)/run.done: requirements/run.txt
	@$(MAKE) --no-print-directory prerequisites
	@echo "Setting up in $(CURDIR)/$(VENV) (about a minute, once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(LOCKED) $(BIN)/python requirements/run.txt
	@ln -sf $(CURDIR)/scripts/emotion-ros $(BIN)/emotion-ros
	@touch $@

$(VENV)/test.done: $(VENV)/run.done requirements/test.txt requirements/tinyml.txt requirements/torch.txt
	@echo "Installing the requirements of tests and training ..."
	@$(PIP) -r requirements/torch.txt -c requirements/test.txt
	@$(LOCKED) $(BIN)/python requirements/test.txt requirements/tinyml.txt
	@touch $@

# CMake refuses to export a package whose source folder contains its dependencies (.venv), so it is built from links.
install/built: $(VENV)/run.done $(SOURCES)
	@echo "Building messages and installing the package into install/ ..."
	@rm -rf install/lib/python3.*/site-packages/emotion_ros  # deleted modules must not stay importable
	@mkdir -p build/src/emotion_ros && ln -sfn $(addprefix $(CURDIR)/,CMakeLists.txt package.xml LICENSE cmake config emotion_ros launch models msg srv scripts) build/src/emotion_ros/
	@AMENT_PREFIX_PATH=$(CURDIR)/$(VENV) CMAKE_PREFIX_PATH=$(CURDIR)/$(VENV) LD_LIBRARY_PATH=$(CURDIR)/$(VENV)/lib PYTHONPATH= \
	  PATH=$(BIN):$$PATH colcon --log-base build/log build --merge-install --base-paths build/src/emotion_ros interfaces/hri_msgs interfaces/tf2_msgs interfaces/vision_msgs \
	  --event-handlers console_cohesion- --cmake-args -DPython3_EXECUTABLE=$(BIN)/python -DBUILD_TESTING=OFF \
	  >build/colcon.log 2>&1 || { cat build/colcon.log; exit 1; }
	@touch $@

setup: install/built ## install and build only

run: install/built ## start the ROS nodes on the sample [SOURCE=/dev/video0, clip.mp4 or folder/]
	@$(BIN)/emotion-ros run --source $(SOURCE) --out $(OUT)

# Unit tests import the working tree, so an edit needs no rebuild; changed messages do (make install/built).
check: $(VENV)/test.done ## run the unit tests, lint and types (under two minutes)
	@test -e install/built || $(MAKE) --no-print-directory install/built
	@scripts/in-workspace python -m pytest $(UNIT_TESTS)
	@$(LINT)

test: install/built $(VENV)/test.done ## run all tests
	@OMP_NUM_THREADS=1 scripts/in-workspace python -m pytest test -n 2 --no-loadscope-reorder

lint: install/built $(VENV)/test.done ## run ruff, mypy, import-linter, and check the keys of package.xml
	@$(LINT)
	@$(BIN)/python scripts/check_rosdep_keys.py

bench: install/built ## measure speed and memory, write out/bench.json
	@$(BIN)/emotion-ros benchmark --source $(SOURCE) --out $(OUT)/bench.json

bench-serve: install/built $(VENV)/test.done ## measure throughput and memory of the HTTP service
	@mkdir -p $(OUT)
	@scripts/in-workspace python scripts/bench_serve.py $(OUT)/bench-serve.json

# fer needs TensorFlow, which conflicts with our requirements. fer 22.4.0 is the last version with MTCNN without PyTorch.
$(PEERS)/done: requirements/peers.txt
	@echo "Installing the compared packages in $(CURDIR)/$(PEERS) (TensorFlow, a few minutes, once) ..."
	@$(PYTHON) -m venv $(PEERS)
	@$(PEER_PIP) -r requirements/peers.txt
	@$(PEER_PIP) --no-deps fer==25.10.3
	@$(PEER_PIP) --no-deps --upgrade --target $(PEERS)/mtcnn fer==22.4.0 mtcnn==1.0.0
	@touch $@

compare: MINUTES = 10
compare: install/built $(VENV)/test.done $(PEERS)/done ## compare with other packages [CLIP=clip.mp4] [DATA=fer2013] [MINUTES=10]
	@mkdir -p $(OUT)
	@scripts/in-workspace python scripts/compare $(PEERS) $(OUT)/compare.json --minutes $(MINUTES) $(if $(CLIP),--clip $(CLIP)) $(if $(DATA),--data $(DATA))

docs: install/built $(VENV)/test.done ## build the documentation into out/site
	@NO_MKDOCS_2_WARNING=1 scripts/in-workspace python -m mkdocs build --strict --quiet --site-dir $(abspath $(OUT))/site && echo "written: $(OUT)/site/index.html"

soak: install/built ## test the detector for leaks [MINUTES=30]
	@scripts/in-workspace python scripts/soak.py $(MINUTES)

attack: install/built $(VENV)/test.done ## attack decoders, readers, a detector and the HTTP service [INPUTS=100000]
	@OMP_NUM_THREADS=1 scripts/in-workspace python -m pytest $(HOSTILE_TESTS)
	@scripts/in-workspace python scripts/attack --inputs $(INPUTS) --out $(OUT)/attack.md

# NumPy 2 cannot be installed beside mediapipe, so it has an environment of its own.
$(NUMPY2)/done: $(VENV)/run.done requirements/numpy2.txt
	@echo "Installing the requirements with NumPy 2 in $(CURDIR)/$(NUMPY2) ..."
	@test -x $(NUMPY2)/bin/python || $(BIN)/python -m venv $(NUMPY2)
	@$(LOCKED) $(NUMPY2)/bin/python requirements/numpy2.txt
	@touch $@

test-numpy2: install/built $(NUMPY2)/done ## run the tests of perception, inference and io with NumPy 2, without MediaPipe
	@EMOTION_ROS_VENV=$(NUMPY2) scripts/in-workspace python -m pytest $(NUMPY2_TESTS)

lock: ## resolve versions: requirements/*.in to requirements/*.txt
	@for n in run test numpy2; do $(BIN)/uv pip compile -q --universal --python-version 3.10 --no-header --no-annotate \
	  --overrides requirements/overrides.txt requirements/$$n.in -o requirements/$$n.txt; done

clean: ## remove everything that was installed, built or written
	rm -rf $(VENV) $(NUMPY2) build install log $(OUT)
