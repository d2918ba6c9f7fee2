// SPDX-License-Identifier: Apache-2.0
#pragma once

// CMake reads the version from these three lines.
#define ETALAGE_VERSION_MAJOR 0
#define ETALAGE_VERSION_MINOR 1
#define ETALAGE_VERSION_PATCH 0
