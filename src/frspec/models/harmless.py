"""Config keys that never change what a causal decoder computes at inference, whatever their value.

Knows: names. Bookkeeping, training-only settings, execution settings of other programs, and the generation
defaults that old configs carry (generation settings come from the request).
"""

BOOKKEEPING = """
_name_or_path name_or_path _commit_hash transformers_version architectures model_type tokenizer_class
torch_dtype dtype pad_token_id unk_token_id sep_token_id decoder_start_token_id task_specific_params
id2label label2id num_labels problem_type finetuning_task is_decoder is_llama_config transformers.js_config
unsloth_version unsloth_fixed model_max_length max_sequence_length prefix tie_encoder_decoder
cross_attention_hidden_size
"""

TRAINING = """
attention_dropout hidden_dropout resid_pdrop embd_pdrop initializer_range use_cache gradient_checkpointing
pretraining_tp torchscript tf_legacy_loss use_bfloat16 output_attentions output_hidden_states return_dict
keys_to_ignore_at_inference attn_implementation _attn_implementation _attn_implementation_autoset
_attn_implementation_internal _experts_implementation _experts_implementation_internal experts_implementation
_flash_attn_2_enabled use_flash_attn use_flash_attention use_flash_attention_2
"""

GENERATION = """
max_length max_new_tokens min_length min_new_tokens do_sample early_stopping num_beams num_beam_groups
diversity_penalty temperature top_k top_p min_p typical_p epsilon_cutoff eta_cutoff repetition_penalty
length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences
output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id remove_invalid_values
exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
"""

HARMLESS = frozenset((BOOKKEEPING + TRAINING + GENERATION).split())
