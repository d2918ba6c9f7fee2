target_sources(etalage PRIVATE
  src/evaluation/compare.cpp
  src/evaluation/evaluation.cpp
  src/evaluation/evaluator.cpp
  src/evaluation/fit_check.cpp
  src/evaluation/history_groups.cpp
  src/evaluation/metrics.cpp
  src/evaluation/split.cpp
  src/evaluation/statistics.cpp)
