// XGBoost models of one tree, to be changed.
#pragma once

#include <string>

#include "support/binary.hpp"

namespace tare::test {

struct XgboostModel {
  std::string left = "[1,-1,-1]";
  std::string right = "[2,-1,-1]";
  std::string parents = "[2147483647,0,0]";
  std::string features = "[1,0,0]";
  std::string conditions = "[0.5,-1.5E0,NaN]";
  std::string more;  // members of the tree
  std::string nodes = "3";
  std::string trees = "1";
  std::string tree_info = "[0]";
  std::string rounds = "[0,1]";
  std::string booster = "gbtree";
  std::string objective = "reg:squarederror";
  std::string attributes = "{\"best\":\"3\"}";
  std::string more_learner;  // members of the learner

  std::string build() const {
    const std::string tree = R"({"left_children":)" + left + R"(,"right_children":)" + right +
                             R"(,"parents":)" + parents + R"(,"split_indices":)" + features +
                             R"(,"split_conditions":)" + conditions +
                             R"(,"default_left":[0,0,0],"id":0,"tree_param":{"num_nodes":")" +
                             nodes + "\"}" + more + "}";
    const std::string model = R"({"gbtree_model_param":{"num_trees":")" + trees +
                              R"("},"tree_info":)" + tree_info + R"(,"iteration_indptr":)" +
                              rounds + R"(,"trees":[)" + tree + "]}";
    return R"({"learner":{"attributes":)" + attributes +
           R"(,"feature_names":["a","b"],"gradient_booster":{"model":)" + model + R"(,"name":")" +
           booster +
           R"("},"learner_model_param":{"num_class":"0","num_feature":"2","num_target":"1"},)" +
           R"("objective":{"name":")" + objective + "\"}" + more_learner +
           R"(},"version":[3,2,0]})";
  }
};

// A text of UBJSON, as a key has it: without its type.
inline std::string ub_key(const std::string& text) {
  std::string length = u64(text.size());
  return "L" + std::string(length.rbegin(), length.rend()) + text;
}

}  // namespace tare::test
