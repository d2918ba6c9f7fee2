target_sources(etalage PRIVATE
  src/profile/item_facts.cpp
  src/profile/profiles.cpp
  src/profile/profiles_state.cpp
  src/profile/repurchase.cpp
  src/profile/user_profile.cpp)
