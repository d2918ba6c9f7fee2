# SPDX-License-Identifier: Apache-2.0
etalage_test(trees/tree_ensemble_test.cpp LABELS threaded)
etalage_test(trees/tree_model_test.cpp)
