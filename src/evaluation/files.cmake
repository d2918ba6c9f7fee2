target_sources(etalage PRIVATE
  src/evaluation/attribution.cpp
  src/evaluation/compare.cpp
  src/evaluation/evaluation.cpp
  src/evaluation/evaluator.cpp
  src/evaluation/experiment.cpp
  src/evaluation/fit_check.cpp
  src/evaluation/history_groups.cpp
  src/evaluation/interleaving.cpp
  src/evaluation/metrics.cpp
  src/evaluation/off_policy.cpp
  src/evaluation/off_policy_checks.cpp
  src/evaluation/off_policy_embeddings.cpp
  src/evaluation/off_policy_intervals.cpp
  src/evaluation/off_policy_sequence.cpp
  src/evaluation/reaction_rates.cpp
  src/evaluation/reward_model.cpp
  src/evaluation/split.cpp
  src/evaluation/statistics.cpp
  src/evaluation/tie_groups.cpp)
set_source_files_properties(src/evaluation/reward_model.cpp PROPERTIES COMPILE_DEFINITIONS EIGEN_NO_DEBUG)
