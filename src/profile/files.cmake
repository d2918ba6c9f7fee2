target_sources(etalage PRIVATE
  src/profile/calibration.cpp
  src/profile/intent_examples.cpp
  src/profile/intent_features.cpp
  src/profile/item_facts.cpp
  src/profile/logistic_regression.cpp
  src/profile/options_state.cpp
  src/profile/profiles.cpp
  src/profile/profiles_state.cpp
  src/profile/purchase_intent.cpp
  src/profile/repurchase.cpp
  src/profile/user_profile.cpp)
