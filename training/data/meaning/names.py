"""Recognise columns by their usual names, in any table of events or items.

    A name is compared in its plain form (see `plain_name`): `Customer ID`, `customerId` and
    `customer_id:token` are one.
Of several columns for one role, the name that comes first here is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from training.data.files.dialect import plain_name
from training.data.meaning.availability import NAMES as AVAILABLE_NAMES


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


USER: Final = _split("""
    user_id userid user uid visitor_id visitorid customer_unique_id customer_id customerid customer cust_id
    client_id clientid client member_id memberid buyer_id shopper_id account_id accountid person_id person
    reviewer_id reviewerid household_key household_id user_pseudo_id profile_id entity_id distinct_id user_name
    username user_no customer_no customer_number customer_code customer_key kunden_nr kundennummer kunden_id
    kunde id_cliente cliente email customer_email email_billing email_shipping customer_user kunde email_address
    billing_email anonymous_id cookie_id device_id session_id sessionid session user_session visit_id visitor
    reader_id player_id steam_id 用户_id 用户id 用户 客户_id 客户id 会员_id 会员 顧客_id 顧客id 会員_id
    ユーザーid 고객_id 고객번호 회원번호
""")
ITEM: Final = _split("""
    item_id itemid iid product_id productid parent_asin asin sku sku_id product_sku lineitem_sku item_sku
    stock_code stockcode article_id articleid article_no article_number artikelnummer artikelnr artikel_nr
    artikel codigo_producto id_producto product_code product_no product_number product_key item_code item_no
    item_number goods_id goods_no variant_id movie_id movieid isbn book_id bookid artist_id artistid track_id
    trackid song_id album_id game_id anime_id recipe_id business_id video_id news_id content_id listing_id
    offer_id ad_id poi_id venue_id target_entity_id ean upc gtin variant_sku item handle product article
    title_id lineitem_name items_item_id product_name item_name game game_title artist_name 产品_id 产品id
    商品_id 商品id
    商品编号 商品コード 商品番号 상품_id 상품번호 상품코드
""")
TIME: Final = _split("""
    time timestamp ts event_time event_timestamp event_datetime event_date datetime date_time time_stamp
    created_at createdat created created_time created_date occurred_at purchased_at purchase_date purchase_time
    order_purchase_timestamp ordered_at order_date order_time order_datetime order_timestamp invoice_date
    invoicedate transaction_date transaction_dt transaction_time transaction_timestamp trans_date trans_dt t_dat
    sold_at sale_date sales_date paid_at processed_at checkout_time unix_review_time review_time reviewtime
    unixreviewtime rated_at viewed_at clicked_at listened_at played_at updated_at visit_date submit_time
    action_time timestamps unixtime unix_time epoch date_added date_created eventdate buchungstag bestelldatum
    kaufdatum datum fecha data zeit 订单日期 下单时间 下单日期 时间 日期 注文日 注文日時 購入日 購入日時 日時
    주문일 주문일자 주문일시 구매일 date day dt position step order_number sort_timestamp
""")
CLOCK: Final = ("time", "hour", "time_of_day", "event_hour", "uhrzeit", "hora", "heure", "clock")
"""Columns of times of day, which count beside a column of dates that have none."""
KIND: Final = _split("""
    kind event_type eventtype event event_name action action_type behavior behavior_type behaviour
    behaviour_type interaction interaction_type feedback_type feedbacktype activity activity_type operation type
""")
RATING: Final = _split("""
    rating ratings stars star_rating overall book_rating score review_score vote
""")
VALUE: Final = (
    "value",
    *RATING,
    *_split("""
    revenue sales sales_value amount total 销售额 金额 line_total weight plays play_count listen_count hours
"""),
)
QUANTITY: Final = _split("""
    quantity qty lineitem_quantity qty_ordered quantity_refund units count order_quantity menge cantidad 数量
    個数 수량
""")
STATUS: Final = _split("""
    financial_status order_status payment_status status bestellstatus fulfillment_status fulfilment_status
""")
ORDER: Final = _split("""
    order_id orderid invoice invoice_no invoiceno transaction_id transactionid basket_id increment_id receipt_id
    order_no order_number invoice_number receipt order 订单_id 订单id 订单编号 注文番号 주문번호 basket name
""")
TITLE: Final = _split("""
    title item_title product_title name product_name item_name prod_name movie_title book_title lineitem_name
    display_name artist_name track_name game_title label headline bezeichnung artikelname artikelbezeichnung
    produktname titel nombre nom 产品名称 商品名称 商品名 상품명
""")
DESCRIPTION: Final = _split("""
    description text body body_html item_text product_description detail_desc details short_description
    long_description about summary overview plot beschreibung commodity_desc
""")
WORDS: Final = _split("""
    brand manufacturer vendor maker author book_author artist director publisher store color colour
    colour_group_name size material pattern style graphical_appearance_name tags tag keywords features feature
    bullet_points ingredients subtitle model gender sub_commodity_desc
    curr_size_of_product garment_group_name section_name
""")
CATEGORY: Final = _split("""
    category categories category_code category_name product_category product_category_name
    product_category_name_english google_product_category category_path main_category item_category genre genres
    sub_category subcategory sub_categories
    product_type product_type_name department department_name 类别 子类别 品类 分类 カテゴリ カテゴリー
    카테고리 class aisle product_group_name index_group_name
    commodity_desc category_id categoryid product_subclass kategorie categoria type
""")
PRICE: Final = _split("""
    price unit_price unitprice lineitem_price item_price list_price sale_price variant_price regular_price
    item_cost retail_price sales_price product_price preis einzelpreis precio prix amount_per_unit msrp 单价
    价格 単価 価格 가격 단가
""")

PARENT: Final = ("handle", "parent_id", "parent_sku", "item_group_id", "group_id", "product_group_id")
"""Columns that say which variants belong together."""

EVENT_ROLES: Final[Mapping[str, Sequence[str]]] = {
    "user_id": USER,
    "item_id": ITEM,
    "time": TIME,
    "kind": KIND,
    "value": VALUE,
    "quantity": QUANTITY,
    "status": STATUS,
    "order": ORDER,
}
ITEM_ROLES: Final[Mapping[str, Sequence[str]]] = {
    "items_item_id": ("id", *ITEM),
    "item_title": TITLE,
    "item_category": CATEGORY,
    "item_price": PRICE,
}
KNOWN: Final = frozenset(
    name
    for names in (*EVENT_ROLES.values(), *ITEM_ROLES.values(), ORDER, DESCRIPTION, WORDS, AVAILABLE_NAMES)
    for name in names
)
"""All plain names that are known, by which a header is told from a row."""


def named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the column with the first of these names that any column has, or None."""
    found = all_named(columns, names)
    return found[0] if found else None


def all_named(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the columns that have one of these names, in the order of the names."""
    plain: dict[str, str] = {}
    for column in columns:
        plain.setdefault(plain_name(column), column)
    for column in columns:
        plain.setdefault(plain_name(column.rpartition(".")[2]), column)
    ordered = dict.fromkeys(plain[name] for name in names if name in plain)
    return list(ordered)
