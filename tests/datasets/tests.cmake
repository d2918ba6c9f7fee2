# SPDX-License-Identifier: Apache-2.0
etalage_test(datasets/synthetic_store_test.cpp LABELS threaded)
