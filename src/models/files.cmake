target_sources(etalage PRIVATE
  src/models/batch.cpp src/models/factor/als.cpp src/models/factor/als_basis.cpp src/models/factor/als_online.cpp src/models/factor/als_solver.cpp
  src/models/factor/als_steps.cpp src/models/auto_settings.cpp src/models/factor/factor_model.cpp src/models/popularity.cpp
  src/models/item_rates.cpp src/models/popularity_log.cpp src/models/recommender.cpp src/models/row_patches.cpp src/models/training_data.cpp
  src/models/factor/vectors.cpp)
target_sources(etalage PRIVATE
  src/models/graph/graph_filter.cpp src/models/graph/graph_filter_options.cpp src/models/graph/graph_filter_query.cpp
  src/models/graph/randomized_svd.cpp)
target_sources(etalage PRIVATE
  src/models/sequence/directed_items.cpp
  src/models/sequence/linear_sequence.cpp src/models/sequence/linear_sequence_settings.cpp
  src/models/sequence/repeat_purchase.cpp
  src/models/sequence/sequence_model.cpp
  src/models/sequence/sequential_rules.cpp
  src/models/sequence/session_knn.cpp
  src/models/sequence/transitions.cpp)
target_sources(etalage PRIVATE src/models/blend/blend.cpp src/models/blend/blend_weights.cpp src/models/blend/members.cpp)
target_sources(etalage PRIVATE
  src/models/ranking/learned_ranker.cpp src/models/ranking/learned_ranker_lists.cpp src/models/ranking/linear_ranker.cpp
  src/models/ranking/ranking_features.cpp)

# Neighbours and walks.
target_sources(etalage PRIVATE
  src/models/neighbour/item_knn.cpp src/models/neighbour/item_similarity.cpp src/models/neighbour/item_similarity_steps.cpp
  src/models/neighbour/random_walk.cpp
  src/models/neighbour/similarity.cpp src/models/neighbour/sparse_product.cpp src/models/neighbour/user_knn.cpp)

# Linear item-item models.
target_sources(etalage PRIVATE
  src/models/linear/ease.cpp src/models/linear/ease_dual.cpp src/models/linear/local_gram.cpp src/models/linear/slim.cpp
  src/models/linear/sparse_first_inverse.cpp src/models/linear/spd_inverse.cpp)

# New products and people.
target_sources(etalage PRIVATE
  src/models/cold_start/catalog_attributes.cpp src/models/cold_start/cold_start.cpp
  src/models/cold_start/cold_start_choice.cpp src/models/cold_start/cold_start_items.cpp
  src/models/cold_start/exploration_slot.cpp)
# Stochastic gradient descent.
target_sources(etalage PRIVATE
  src/models/pairwise/block_schedule.cpp src/models/pairwise/bpr.cpp src/models/pairwise/item2vec.cpp
  src/models/pairwise/pairwise_model.cpp src/models/pairwise/pairwise_sgd.cpp src/models/pairwise/skip_gram.cpp
  src/models/pairwise/warp.cpp)

# Alternating least squares with features.
target_sources(etalage PRIVATE src/models/factor/feature_als.cpp src/models/factor/feature_regression.cpp)
