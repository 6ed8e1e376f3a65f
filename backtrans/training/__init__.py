"""Fine-tuning the two models: M_yx from output to instruction, M_t from instruction to output."""
